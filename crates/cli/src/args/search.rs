//! `pagehound search`.

use super::pages::standing;
use super::value::{self, AddressRange};
use super::{PartOption, Target};
use pagehound_hunt::Standing;
use pagehound_scan::{Pattern, PatternError, Width};

const USAGE: &str = "\
pagehound search [OPTIONS] TARGET PATTERN...
       pagehound search [OPTIONS] TARGET --mac|--hex|--text|--regex|--range WHAT";

const EXAMPLES: &str = "\
Examples:
  pagehound search vmcore 0000383e43966e24 -m ffff000000000000
  pagehound search vmcore --mac 24:6e:96:43:3e:38 --at 0 --state lost
  pagehound search vmcore --hex '24 6e 96 ?? ?? 38'
  pagehound search vmcore --text RINGBUF2 --in raw
  pagehound search vmcore --regex 'eth[0-9]+: link up'
  pagehound search vmcore --range ffffea0000000000..ffffea0001000000
  pagehound search vmcore deadbeef -w -p -s 100000 -l 4096

Prints a line for every match, as crash does; counts and coverage go to standard
error. crash's -m, -w, -p, -k, -s, -e and -l work as there, with addresses of the
direct map; -h is help, as everywhere. Bytes and text may go on in the next page. With
--state, as with `why`, `pages` and `ledger`, the whole diagnosis is made first. Exit
status, as grep's: 0 found, 1 not found, 2 could not be carried out, 130 ended by Ctrl-C.";

/// Arguments of `search`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct Search {
    /// Dump file, capture, `-`: standard input, or `live`: the memory of this host (root)
    #[arg(value_name = "TARGET")]
    pub target: Target,

    /// Words to find at multiples of their size, in hex; none where an option
    /// says what to find
    #[arg(value_name = "PATTERN", group = "what")]
    pub words: Vec<String>,

    /// Bits of the words that may be anything, in hex
    #[arg(long, short, value_name = "MASK", requires = "words")]
    pub mask: Option<String>,

    /// Words are 32 bits, not 64
    #[arg(short, requires = "words")]
    pub word32: bool,

    /// Words with a value in this range, in hex; END not included
    #[arg(long, value_name = "START..END", value_parser = Pattern::parse_range, group = "what")]
    pub range: Vec<Pattern>,

    /// A MAC address, at any offset
    #[arg(long, value_name = "MAC", value_parser = Pattern::parse_mac, group = "what")]
    pub mac: Vec<Pattern>,

    /// Bytes in memory order, `?` for a digit that may be anything
    #[arg(long, value_name = "BYTES", value_parser = Pattern::parse_hex, group = "what")]
    pub hex: Vec<Pattern>,

    /// Text, as it is, at any offset
    #[arg(long, value_name = "TEXT", value_parser = text, group = "what")]
    pub text: Vec<Pattern>,

    /// A regular expression over the bytes of each page: `^` is where a page begins
    #[arg(long, value_name = "REGEX", value_parser = regex, group = "what")]
    pub regex: Vec<Pattern>,

    /// Only where a match starts at this offset in its page
    #[arg(long, value_name = "OFFSET", value_parser = value::number)]
    pub at: Option<u64>,

    /// Only in pages of this class, named as in `pages`; may be repeated
    #[arg(long = "in", value_name = "CLASS")]
    pub class: Vec<String>,

    /// Only in pages in this state, as in `pages`; may be repeated
    #[arg(long, value_name = "STATE", value_parser = standing(), hide_possible_values = true)]
    pub state: Vec<Standing>,

    /// Only from this address on, in hex
    #[arg(short, value_name = "START", value_parser = value::hex)]
    pub start: Option<u64>,

    /// Only below this address, in hex
    #[arg(short, value_name = "END", value_parser = value::hex, conflicts_with = "length")]
    pub end: Option<u64>,

    /// Only in so many bytes from START on: decimal, or hex with 0x
    #[arg(short, value_name = "LENGTH", value_parser = value::number, requires = "start")]
    pub length: Option<u64>,

    /// Addresses given and printed are physical, not kernel addresses
    #[arg(long, short)]
    pub physical: bool,

    /// Addresses are kernel addresses: the default, as in crash
    #[arg(short, hide = true, conflicts_with = "physical")]
    pub kernel: bool,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: PartOption,
}

impl Search {
    /// Everything to find: words, ranges, MAC addresses, bytes, texts,
    /// expressions, in this order.
    pub fn patterns(&self) -> Result<Vec<Pattern>, PatternError> {
        let width = if self.word32 { Width::W32 } else { Width::W64 };
        let words = self
            .words
            .iter()
            .map(|word| Pattern::parse_value(word, self.mask.as_deref(), width));
        let mut patterns = words.collect::<Result<Vec<_>, _>>()?;
        for more in [&self.range, &self.mac, &self.hex, &self.text, &self.regex] {
            patterns.extend_from_slice(more);
        }
        Ok(patterns)
    }

    /// Where to look, if not everywhere.
    pub fn addresses(&self) -> Result<Option<AddressRange>, String> {
        if self.start.is_none() && self.end.is_none() {
            return Ok(None);
        }
        let start = self.start.unwrap_or(0);
        let length = self.length.map(|length| start.saturating_add(length));
        AddressRange::new(start, self.end.or(length).unwrap_or(u64::MAX)).map(Some)
    }
}

fn text(text: &str) -> Result<Pattern, PatternError> {
    Pattern::text(text)
}

/// Whether it is one shows when it is made ready for searching.
fn regex(text: &str) -> Result<Pattern, std::convert::Infallible> {
    Ok(Pattern::Regex(text.to_owned()))
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
            Command::Search(search) => Ok(*search),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_line_typed_for_crash() {
        let search = search("0000383e43966e24 -m 0xffff000000000000").unwrap();
        let (value, mask, width) = (0x383e_4396_6e24, 0xffff_0000_0000_0000, Width::W64);
        assert_eq!(
            search.patterns(),
            Ok(vec![Pattern::Value { value, mask, width }])
        );
        assert_eq!(search.addresses(), Ok(None));
    }

    #[test]
    fn every_kind_of_pattern_in_its_order() {
        let search =
            search("--regex a+ --text A 1 -w --mac 24:6e:96:43:3e:38 --range 1..2 2").unwrap();
        let (mask, width) = (0, Width::W32);
        let patterns = [
            Pattern::Value {
                value: 1,
                mask,
                width,
            },
            Pattern::Value {
                value: 2,
                mask,
                width,
            },
            Pattern::Range(1..2),
            Pattern::parse_mac("246e96433e38").unwrap(),
            Pattern::text("A").unwrap(),
            Pattern::Regex("a+".into()),
        ];
        assert_eq!(search.patterns().unwrap(), patterns);
    }

    #[test]
    fn addresses() {
        let of = |line: &str| search(line).unwrap().addresses();
        let range = |start, end| Ok(Some(AddressRange { start, end }));
        assert_eq!(of("1 -s 1000 -l 4096"), range(0x1000, 0x2000));
        assert_eq!(of("1 -e 1000"), range(0, 0x1000));
        assert_eq!(of("1 -s 1000"), range(0x1000, u64::MAX));
        assert!(of("1 -s 2000 -e 1000").is_err());
    }

    #[test]
    fn something_to_find_is_required() {
        assert!(search("--at 0").is_err());
        assert!(search("--text A").is_ok());
        assert!(search("--mask ff --text A").is_err(), "a mask needs a word");
        assert!(search("1 -p -k").is_err());
        assert!(search("--mac 24:6e").is_err());
        assert!(search("123456789 -w").unwrap().patterns().is_err());
    }
}
