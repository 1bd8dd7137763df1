//! Which differences matter: memory in use moves by some pages all the time.

use super::result::{Change, Comparison, Relation, Which};
use pagehound_model::State;

/// A change of less than the larger of these bytes and this part of MemTotal is
/// nobody's business.
const LEAST_BYTES: u64 = 4 << 20;
const LEAST_PART: u64 = 100;

/// Seconds between two moments below which a rate would be noise.
const LEAST_SECONDS: u64 = 60;

/// The least change that matters where MemTotal is so large.
pub(crate) fn least(mem_total_bytes: u64) -> u64 {
    LEAST_BYTES.max(mem_total_bytes / LEAST_PART)
}

impl Relation {
    /// The time between two moments of one host, where it is long enough for a rate.
    pub fn rate_seconds(&self) -> Option<i64> {
        let seconds = self.seconds.filter(|_| self.relative.is_one_host())?;
        (seconds.unsigned_abs() >= LEAST_SECONDS).then_some(seconds)
    }

    /// Why there is no rate where one is expected.
    pub(super) fn too_near(&self) -> Option<String> {
        let seconds = self.seconds.filter(|_| self.relative.is_one_host())?;
        let near = seconds != 0 && self.rate_seconds().is_none();
        near.then(|| {
            format!(
                "no rates: between the two are {} s, and what moves in less than a minute \
                 says nothing of an hour",
                seconds.unsigned_abs()
            )
        })
    }
}

impl Comparison {
    /// Whether something differs that matters: the answer, the machines, what is lost,
    /// or an amount by the larger of 1 % of MemTotal and 4 MiB.
    pub(super) fn weigh(&self) -> bool {
        let lost = |state| matches!(state, Some(State::Lost | State::Suspect));
        let total = self.a.mem_total_bytes.max(self.b.mem_total_bytes);
        let least = least(total);
        let large = |change: &Change| change.bytes.unsigned_abs() >= least;
        let named = [&self.holders, &self.heap, &self.cgroups];
        let mut named = named.into_iter().flatten();
        let mut findings = self.findings.iter();
        self.a.verdict != self.b.verdict
            || !self.differences.is_empty()
            || findings.any(|of| lost(of.a_state) || lost(of.b_state) || large(&of.change))
            || self.classes.iter().any(|of| large(&of.change))
            || named.any(|of| large(&of.change))
    }

    /// Bytes that no counter shows, of both by the same counters.
    pub fn unaccounted(&self) -> [u64; 2] {
        let of = |which: Which, bytes: u64| {
            let untold = self.untold.iter().filter(|of| of.not_told_by != which);
            untold.fold(bytes, |sum, of| sum.saturating_add(of.bytes))
        };
        [
            of(Which::A, self.a.unaccounted_bytes),
            of(Which::B, self.b.unaccounted_bytes),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::compare;
    use crate::testing::{healthy, report};
    use pagehound_model::Report;

    /// `report`, with so many pages more in use and not free, so many seconds later.
    fn later(report: &Report, pages: u64, seconds: u64) -> Report {
        let mut later = report.clone();
        let seconds = 306 + seconds;
        let (hours, minutes) = (4 + seconds / 3600, seconds / 60 % 60);
        let time = format!("2026-11-02T{hours:02}:{minutes:02}:{:02}Z", seconds % 60);
        later.host.captured_at = Some(time);
        for row in &mut later.ledger {
            match row.class.as_str() {
                "anonymous" => row.pages += pages,
                "free" => row.pages -= pages,
                _ => {}
            }
            row.bytes = row.pages * 4096;
        }
        later
    }

    #[test]
    fn some_pages_more_do_not_matter() {
        let host = healthy();
        let one_percent = host.target.mem_total_bytes.div_ceil(100).div_ceil(4096);
        let found = compare(&host, &later(&host, one_percent - 1, 3600));
        assert!(!found.matters && !found.is_equal());
        assert!(compare(&host, &later(&host, one_percent, 3600)).matters);
        // Of a small host 4 MiB.
        let mut small = host.clone();
        small.target.mem_total_bytes = 100 << 20;
        assert!(!compare(&small, &later(&small, 1023, 3600)).matters);
        assert!(compare(&small, &later(&small, 1024, 3600)).matters);
    }

    #[test]
    fn losses_and_machines_matter_however_little_it_is() {
        let mut grown = report();
        grown.findings[0].pages += 1;
        assert!(compare(&report(), &grown).matters);
        let mut other = healthy();
        other.netdevs.pop();
        other.netdevs[0].driver = Some("igb".into());
        assert!(compare(&healthy(), &other).matters);
        assert!(!compare(&report(), &report()).matters);
    }

    #[test]
    fn moments_too_near_have_no_rate() {
        let host = healthy();
        let found = compare(&host, &later(&host, 500, 8));
        assert_eq!(found.relation.seconds, Some(8));
        let mut rates = found.classes.iter().map(|of| of.change.bytes_per_hour);
        assert!(rates.all(|rate| rate.is_none()));
        assert!(found.notes.iter().any(|of| of.contains("are 8 s")));
        let found = compare(&host, &later(&host, 500, 60));
        assert!(found.classes[0].change.bytes_per_hour.is_some());
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }
}
