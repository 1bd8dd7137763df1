//! `pagehound log`.

use super::{Parts, Target};
use clap::ValueEnum;

const EXAMPLES: &str = "\
Examples:
  pagehound log vmcore
  pagehound log vmcore --level err+             err, crit, alert, emerg
  pagehound log vmcore -T | grep -e em1 -e em2";

/// Arguments of `log`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Log {
    /// Dump file, capture, `-`: standard input, or `live`: the memory of this host (root)
    #[arg(value_name = "TARGET")]
    pub target: Target,

    #[allow(missing_docs, reason = "see there")]
    #[command(flatten)]
    pub others: Parts,

    /// Only these levels: `warn,err`; with `+`, that level and the worse ones
    #[arg(
        long,
        short,
        value_name = "LEVELS",
        default_value = "debug+",
        hide_default_value = true
    )]
    pub level: Levels,

    /// Print times of day (UTC) instead of seconds since boot
    #[arg(long, short = 'T')]
    pub ctime: bool,
}

/// A level of printk, worst first, numbered as in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[allow(missing_docs, reason = "the kernel's names")]
pub enum Level {
    Emerg,
    Alert,
    Crit,
    Err,
    Warn,
    Notice,
    Info,
    Debug,
}

/// A set of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// Whether the printk level `level` (0 to 7) is in the set.
    pub fn contains(self, level: u8) -> bool {
        level < 8 && self.0 & (1 << level) != 0
    }
}

impl std::str::FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut set = 0;
        for word in text.split(',') {
            let (name, worse) = word
                .strip_suffix('+')
                .map_or((word, false), |name| (name, true));
            let level = Level::from_str(name, true).map_err(|_| {
                format!("`{name}` is none of emerg, alert, crit, err, warn, notice, info, debug")
            })?;
            let bit = 1u8 << level as u8;
            // All bits up to and with the level's own: the worse ones are lower.
            set |= if worse { bit | (bit - 1) } else { bit };
        }
        Ok(Levels(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Vec<u8> {
        let levels: Levels = text.parse().unwrap();
        (0..=u8::MAX)
            .filter(|&level| levels.contains(level))
            .collect()
    }

    #[test]
    fn levels() {
        assert_eq!(set("err"), [3]);
        assert_eq!(set("warn,emerg"), [0, 4]);
        assert_eq!(set("err+"), [0, 1, 2, 3]);
        assert_eq!(set("debug+"), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!("loud".parse::<Levels>().is_err());
        assert!("".parse::<Levels>().is_err());
    }
}
