//! No more than so many bytes a second.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What may be read at once after a pause.
const BURST: Duration = Duration::from_millis(64);

/// Slows all readers together down to a number of bytes a second.
pub(crate) struct Rate {
    per_second: NonZeroU64,
    /// When all that was taken would be through at this rate.
    through: Mutex<Instant>,
}

impl Rate {
    pub(crate) fn new(per_second: NonZeroU64) -> Self {
        Self {
            per_second,
            through: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `bytes` more may be read.
    pub(crate) fn take(&self, bytes: u64) {
        let wait = self.wait(bytes, Instant::now());
        if !wait.is_zero() {
            thread::sleep(wait);
        }
    }

    /// How long whoever takes `bytes` at `now` has to wait.
    fn wait(&self, bytes: u64, now: Instant) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        let idle_since = now.checked_sub(BURST).unwrap_or(now);
        let next = (*through).max(idle_since);
        *through = next.checked_add(cost).unwrap_or(next);
        through.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn rate(per_second: u64) -> (Rate, Instant) {
        let rate = Rate::new(NonZeroU64::new(per_second).unwrap());
        let now = *rate.through.lock().unwrap();
        (rate, now)
    }

    #[test]
    fn readers_together_get_the_rate() {
        let (rate, start) = rate(100 * MIB);
        let mut now = start;
        for _ in 0..1000 {
            now += rate.wait(MIB, now);
        }
        // 1,000 MiB at 100 a second.
        assert_eq!(now.duration_since(start).as_millis(), 10_000);
    }

    #[test]
    fn after_a_pause_a_burst_goes_through_at_once_and_no_more() {
        let (rate, start) = rate(1000 * MIB);
        let later = start + Duration::from_secs(60);
        assert_eq!(rate.wait(64 * MIB, later), Duration::ZERO);
        assert_eq!(rate.wait(100 * MIB, later).as_millis(), 100);
    }

    #[test]
    fn a_number_of_bytes_that_never_ends_does_not_overflow() {
        let (rate, now) = rate(1);
        rate.wait(u64::MAX, now);
        rate.wait(u64::MAX, now);
    }
}
