//! `pagehound search`.

use super::value::{self, AddressRange, BytePattern};
use super::{PageState, Target};

const EXAMPLES: &str = "\
Examples:
  pagehound search vmcore 0000383e43966e24 -m ffff000000000000
  pagehound search vmcore --mac 24:6e:96:43:3e:38 --at 0 --state lost
  pagehound search vmcore --hex '24 6e 96 ?? ?? 38'
  pagehound search vmcore --text RINGBUF2 --in unaccounted
  pagehound search vmcore --regex 'eth[0-9]+: link up'
  pagehound search vmcore deadbeef -p -s 100000 -l 1000

crash's -m, -p, -k, -s, -e and -l work as there; -h is help, as everywhere.
Exit status, as grep's: 0 found, 1 not found, 2 could not be carried out.";

/// Arguments of `search`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("needle").required(true).multiple(true))]
pub struct Search {
    /// Dump file
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// 64-bit words to find at multiples of 8, in hex
    #[arg(value_name = "PATTERN", value_parser = value::hex, group = "needle")]
    pub words: Vec<u64>,

    /// Bits of the words that may be anything, in hex
    #[arg(long, short, value_name = "MASK", value_parser = value::hex, default_value = "0", hide_default_value = true, requires = "words")]
    pub mask: u64,

    /// A MAC address, at any offset
    #[arg(long, value_name = "MAC", value_parser = value::mac, group = "needle")]
    pub mac: Vec<BytePattern>,

    /// Bytes in memory order, `??` for any byte
    #[arg(long, value_name = "BYTES", group = "needle")]
    pub hex: Vec<BytePattern>,

    /// Text, as it is, at any offset
    #[arg(long, value_name = "TEXT", value_parser = text, group = "needle")]
    pub text: Vec<BytePattern>,

    /// A regular expression over bytes, within a page
    #[arg(long, value_name = "REGEX", group = "needle")]
    pub regex: Vec<String>,

    /// Only where a match starts at this offset in its page; may be repeated
    #[arg(long, value_name = "OFFSET", value_parser = value::number)]
    pub at: Vec<u64>,

    /// Only in pages of this class, named as in `ledger`; may be repeated
    #[arg(long = "in", value_name = "CLASS")]
    pub class: Vec<String>,

    /// Only in pages in this state; may be repeated
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: Vec<PageState>,

    /// Only in these addresses, hex, END not included; may be repeated
    #[arg(long, value_name = "START-END")]
    pub range: Vec<AddressRange>,

    /// First address of a range, in hex
    #[arg(short, value_name = "START", value_parser = value::hex)]
    pub start: Option<u64>,

    /// End of the range, in hex
    #[arg(short, value_name = "END", value_parser = value::hex, conflicts_with = "length")]
    pub end: Option<u64>,

    /// Length of the range in bytes, in hex
    #[arg(short, value_name = "LENGTH", value_parser = value::hex, requires = "start")]
    pub length: Option<u64>,

    /// Addresses given and printed are physical, not kernel addresses
    #[arg(long, short)]
    pub physical: bool,

    /// Addresses are kernel addresses: the default, as in crash
    #[arg(short, hide = true, conflicts_with = "physical")]
    pub kernel: bool,
}

/// One thing to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needle {
    /// A 64-bit word at a multiple of 8, equal outside the bits of `mask`.
    Word {
        /// What to find; the bits of `mask` are zero.
        value: u64,
        /// Bits that may be anything.
        mask: u64,
    },
    /// Bytes at any offset.
    Bytes(BytePattern),
    /// A regular expression over bytes.
    Regex(String),
}

impl Search {
    /// Everything to find: words, MAC addresses, bytes, texts, expressions.
    pub fn needles(&self) -> Vec<Needle> {
        let words = self.words.iter().map(|word| Needle::Word {
            value: word & !self.mask,
            mask: self.mask,
        });
        let bytes = self
            .mac
            .iter()
            .chain(&self.hex)
            .chain(&self.text)
            .cloned()
            .map(Needle::Bytes);
        words
            .chain(bytes)
            .chain(self.regex.iter().cloned().map(Needle::Regex))
            .collect()
    }

    /// Where to look; empty for everywhere.
    pub fn ranges(&self) -> Result<Vec<AddressRange>, String> {
        let mut ranges = self.range.clone();
        if self.start.is_some() || self.end.is_some() {
            let start = self.start.unwrap_or(0);
            let length = self.length.map(|length| start.saturating_add(length));
            ranges.push(AddressRange::new(
                start,
                self.end.or(length).unwrap_or(u64::MAX),
            )?);
        }
        Ok(ranges)
    }
}

fn text(text: &str) -> Result<BytePattern, String> {
    if text.is_empty() {
        return Err("an empty text would match anything".to_owned());
    }
    Ok(BytePattern::exact(text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;

    fn search(line: &str) -> Result<Search, clap::Error> {
        let args = ["pagehound", "search", "vmcore"]
            .into_iter()
            .chain(line.split(' '));
        match Cli::parse_from(args.map(Into::into))?.command {
            Command::Search(search) => Ok(search),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_line_typed_for_crash() {
        let search = search("0000383e43966e24 -m 0xffff000000000000").unwrap();
        let word = Needle::Word {
            value: 0x383e_4396_6e24,
            mask: 0xffff_0000_0000_0000,
        };
        assert_eq!(search.needles(), [word]);
        assert_eq!(search.ranges(), Ok(vec![]));
    }

    #[test]
    fn ranges() {
        let of = |line: &str| search(line).unwrap().ranges();
        let range = |start, end| AddressRange { start, end };
        assert_eq!(of("1 -s 1000 -l 1000"), Ok(vec![range(0x1000, 0x2000)]));
        assert_eq!(of("1 -e 1000"), Ok(vec![range(0, 0x1000)]));
        assert_eq!(
            of("1 -s 1000 --range 1-2"),
            Ok(vec![range(1, 2), range(0x1000, u64::MAX)])
        );
        assert!(of("1 -s 2000 -e 1000").is_err());
    }

    #[test]
    fn something_to_find_is_required() {
        assert!(search("--at 0").is_err());
        assert!(search("--text A").is_ok());
        assert!(search("--mask ff --text A").is_err(), "a mask needs a word");
        assert!(search("1 -p -k").is_err());
    }
}
