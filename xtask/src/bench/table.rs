//! Tables of the results.

use std::fmt::Write as _;

use anyhow::Result;

use super::contestant::{Contestant, Figures, Spread};
use super::limits::Done;

/// A row for each command, with the seconds of its work alone where they are
/// known; GiB/s are of those, for `bytes` of memory.
pub(super) fn rows(measured: &[(&Contestant, Option<Seconds>)], bytes: u64) -> Result<String> {
    let mut text = String::from(
        "| | command | wall s: median | min | max | CPU s: median | peak MiB | work alone s | GiB/s |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (contestant, work) in measured {
        let done = contestant.runs.iter().find_map(|run| run.done);
        let bytes = done.map_or(bytes, |done| done.bytes);
        let (alone, rate) = match work {
            Some(work) => (
                format!("{:.2}", work.median),
                format!("{:.2}", gib(bytes) / work.median.max(1e-9)),
            ),
            None => (String::new(), String::new()),
        };
        writeln!(text, "{} {alone} | {rate} |", contestant.cells(),)?;
    }
    Ok(text)
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Seconds that something took, of the same runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds {
    pub(super) median: f64,
    /// The fastest run, which other work on the machine disturbed least.
    pub(super) min: f64,
    /// Median of the processor time of all threads, which other work disturbs
    /// little; waiting is not in it.
    pub(super) cpu: f64,
}

impl Seconds {
    /// Wall time of whole processes.
    pub(super) fn whole(contestant: &Contestant) -> Seconds {
        let wall = contestant.wall();
        Seconds {
            median: wall.median.as_secs_f64(),
            min: wall.min.as_secs_f64(),
            cpu: contestant.cpu().as_secs_f64(),
        }
    }

    /// What a limit took for the work itself.
    pub(super) fn inner(contestant: &Contestant) -> Seconds {
        let spread = |seconds: fn(Done) -> f64| {
            let micros = |run: &Figures| run.done.map_or(0, |done| (seconds(done) * 1e6) as u64);
            Spread::of(contestant.runs.iter().map(micros))
        };
        let wall = spread(|done| done.seconds);
        Seconds {
            median: wall.median as f64 / 1e6,
            min: wall.min as f64 / 1e6,
            cpu: spread(|done| done.cpu).median as f64 / 1e6,
        }
    }
}

impl std::ops::Sub for Seconds {
    type Output = Seconds;

    fn sub(self, other: Seconds) -> Seconds {
        Seconds {
            median: self.median - other.median,
            min: self.min - other.min,
            cpu: self.cpu - other.cpu,
        }
    }
}

impl std::ops::Div for Seconds {
    type Output = Seconds;

    fn div(self, other: Seconds) -> Seconds {
        Seconds {
            median: self.median / other.median.max(1e-9),
            min: self.min / other.min.max(1e-9),
            cpu: self.cpu / other.cpu.max(1e-9),
        }
    }
}

impl std::ops::Div<f64> for Seconds {
    type Output = Seconds;

    fn div(self, by: f64) -> Seconds {
        Seconds {
            median: self.median / by,
            min: self.min / by,
            cpu: self.cpu / by,
        }
    }
}

/// A ratio with the goal it is to reach.
pub(super) struct Ratio {
    what: String,
    value: Seconds,
    goal: f64,
    at_least: bool,
}

impl Ratio {
    /// `value` is a quotient of [`Seconds`].
    pub(super) fn at_least(what: &str, value: Seconds, goal: f64) -> Ratio {
        Ratio {
            what: what.to_owned(),
            value,
            goal,
            at_least: true,
        }
    }

    pub(super) fn at_most(what: &str, value: Seconds, goal: f64) -> Ratio {
        Ratio {
            at_least: false,
            ..Ratio::at_least(what, value, goal)
        }
    }

    fn is_met_by(&self, value: f64) -> bool {
        if self.at_least {
            value >= self.goal
        } else {
            value <= self.goal
        }
    }

    /// Medians decide, where processor time says the same: a machine with other
    /// work can slow one command of a pair more than the other.
    fn outcome(&self) -> &'static str {
        match (
            self.is_met_by(self.value.median),
            self.is_met_by(self.value.cpu),
        ) {
            (true, true) => "met",
            (false, false) => "**missed**",
            _ => "**unclear**",
        }
    }
}

/// A row for each ratio.
pub(super) fn ratios(list: &[Ratio]) -> Result<String> {
    let mut text = String::from(
        "| ratio | of medians | of fastest runs | of processor time | goal | |\n|---|---|---|---|---|---|\n",
    );
    for ratio in list {
        writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.2} | {} {} | {} |",
            ratio.what,
            ratio.value.median,
            ratio.value.min,
            ratio.value.cpu,
            if ratio.at_least { "≥" } else { "≤" },
            ratio.goal,
            ratio.outcome(),
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_on_its_own_side() {
        let value = |median, cpu| Seconds {
            median,
            min: 1.0,
            cpu,
        };
        let list = [
            Ratio::at_least("a", value(0.8, 0.9), 0.8),
            Ratio::at_least("b", value(0.79, 0.7), 0.8),
            Ratio::at_most("c", value(3.0, 2.0), 3.0),
            Ratio::at_most("d", value(3.1, 4.0), 3.0),
            Ratio::at_least("e", value(1.3, 0.5), 0.8),
            Ratio::at_most("f", value(4.0, 2.0), 3.0),
        ];
        let outcomes: Vec<&str> = list.iter().map(Ratio::outcome).collect();
        assert_eq!(
            outcomes,
            [
                "met",
                "**missed**",
                "met",
                "**missed**",
                "**unclear**",
                "**unclear**"
            ]
        );
        let text = ratios(&list).unwrap();
        assert!(
            text.contains("| b | 0.79 | 1.00 | 0.70 | ≥ 0.8 | **missed** |"),
            "{text}"
        );
        assert!(
            text.contains("| c | 3.00 | 1.00 | 2.00 | ≤ 3 | met |"),
            "{text}"
        );
    }
}
