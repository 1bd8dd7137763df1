//! Tables of the results.

use std::fmt::Write as _;

use anyhow::Result;

use super::contestant::{Contestant, Spread};

/// A row for each command, with the seconds of its work alone where they are
/// known; GiB/s are of those, for `bytes` of memory.
pub(super) fn rows(measured: &[(&Contestant, Option<f64>)], bytes: u64) -> Result<String> {
    let mut text = String::from(
        "| | command | wall s: median | min | max | CPU s: median | peak MiB | work alone s | GiB/s |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (contestant, work) in measured {
        let wall = contestant.wall();
        let cpu = Spread::of(contestant.runs.iter().map(|run| run.cpu));
        let done = contestant.runs.iter().find_map(|run| run.done);
        let bytes = done.map_or(bytes, |done| done.bytes);
        let (alone, rate) = match work {
            Some(work) => (
                format!("{work:.2}"),
                format!("{:.2}", gib(bytes) / work.max(1e-9)),
            ),
            None => (String::new(), String::new()),
        };
        writeln!(
            text,
            "| {} | `{}` | {:.2} | {:.2} | {:.2} | {:.2} | {} | {alone} | {rate} |",
            contestant.version,
            contestant.line,
            wall.median.as_secs_f64(),
            wall.min.as_secs_f64(),
            wall.max.as_secs_f64(),
            cpu.median.as_secs_f64(),
            contestant.peak() >> 20,
        )?;
    }
    Ok(text)
}

pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// A ratio with the goal it is to reach.
pub(super) struct Ratio {
    what: String,
    value: f64,
    goal: f64,
    at_least: bool,
}

impl Ratio {
    pub(super) fn at_least(what: &str, value: f64, goal: f64) -> Ratio {
        Ratio {
            what: what.to_owned(),
            value,
            goal,
            at_least: true,
        }
    }

    pub(super) fn at_most(what: &str, value: f64, goal: f64) -> Ratio {
        Ratio {
            at_least: false,
            ..Ratio::at_least(what, value, goal)
        }
    }

    fn is_met(&self) -> bool {
        if self.at_least {
            self.value >= self.goal
        } else {
            self.value <= self.goal
        }
    }
}

/// A row for each ratio.
pub(super) fn ratios(list: &[Ratio]) -> Result<String> {
    let mut text = String::from("| ratio | measured | goal | |\n|---|---|---|---|\n");
    for ratio in list {
        writeln!(
            text,
            "| {} | {:.2} | {} {} | {} |",
            ratio.what,
            ratio.value,
            if ratio.at_least { "≥" } else { "≤" },
            ratio.goal,
            if ratio.is_met() { "met" } else { "**missed**" },
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_on_its_own_side() {
        let list = [
            Ratio::at_least("a", 0.8, 0.8),
            Ratio::at_least("b", 0.79, 0.8),
            Ratio::at_most("c", 3.0, 3.0),
            Ratio::at_most("d", 3.1, 3.0),
        ];
        let met: Vec<bool> = list.iter().map(Ratio::is_met).collect();
        assert_eq!(met, [true, false, true, false]);
        let text = ratios(&list).unwrap();
        assert!(text.contains("| b | 0.79 | ≥ 0.8 | **missed** |"), "{text}");
        assert!(text.contains("| c | 3.00 | ≤ 3 | met |"), "{text}");
    }
}
