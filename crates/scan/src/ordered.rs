//! Work done on many threads, results delivered in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Results a thread may be ahead of the one that is delivered next. Threads
/// seldom take equally long; waiting for one another costs more than results.
const AHEAD: u64 = 16;

/// Runs `work` for the indices below `count` on `threads` threads, the calling
/// one among them, and calls `sink` with the results by rising index, on whichever
/// thread has brought the next one: nobody is woken for a result.
///
/// `work` says beside its result whether to go on; when it does not, no
/// further index is started, and those already started are still delivered.
/// When `sink` breaks, what is finished or under way is dropped.
pub(crate) fn run<S, R: Send>(
    count: u64,
    threads: usize,
    init: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u64) -> (R, bool) + Sync,
    sink: impl FnMut(R) -> ControlFlow<()> + Send,
) {
    let desk = Desk {
        state: Mutex::new(State {
            count,
            claimed: 0,
            delivered: 0,
            done: BTreeMap::new(),
            sink: Some(sink),
            waiting: 0,
            abandoned: false,
        }),
        ahead: AHEAD.saturating_mul(threads as u64).max(1),
        room: Condvar::new(),
    };
    let worker = || {
        let _abandon = AbandonOnPanic(&desk);
        let mut state = init();
        while let Some(index) = desk.claim() {
            let (result, go_on) = work(&mut state, index);
            desk.file(index, result, go_on);
        }
    };
    thread::scope(|scope| {
        // A system that grants no further thread only makes the work slower.
        let others: Vec<_> = (1..threads)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, worker).ok())
            .collect();
        worker();
        for other in others {
            if let Err(panic) = other.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Where workers fetch indices and leave results.
struct Desk<R, K> {
    state: Mutex<State<R, K>>,
    /// How far `claimed` may be ahead of `delivered`.
    ahead: u64,
    /// A result was delivered, or nothing more is wanted.
    room: Condvar,
}

struct State<R, K> {
    /// No index at or above this one is started.
    count: u64,
    claimed: u64,
    delivered: u64,
    done: BTreeMap<u64, R>,
    /// Away with the worker that delivers.
    sink: Option<K>,
    /// Workers that wait for room.
    waiting: usize,
    /// Nothing more will be delivered.
    abandoned: bool,
}

impl<R, K: FnMut(R) -> ControlFlow<()>> Desk<R, K> {
    /// The next index to work on, once there is room for its result.
    fn claim(&self) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.abandoned || state.claimed >= state.count {
                return None;
            }
            if state.claimed - state.delivered < self.ahead {
                let index = state.claimed;
                state.claimed += 1;
                return Some(index);
            }
            state.waiting += 1;
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Leaves a result, and delivers what is next unless another worker does.
    fn file(&self, index: u64, result: R, go_on: bool) {
        let mut state = self.lock();
        state.done.insert(index, result);
        if !go_on {
            state.count = state.claimed;
            self.room.notify_all();
        }
        let Some(mut sink) = state.sink.take() else {
            return;
        };
        while !state.abandoned {
            let next = state.delivered;
            let Some(result) = state.done.remove(&next) else {
                break;
            };
            drop(state);
            let flow = sink(result);
            state = self.lock();
            state.delivered += 1;
            state.abandoned |= flow.is_break();
            if state.waiting > 0 {
                self.room.notify_all();
            }
        }
        // Still locked since the last look: nobody filed the next one meanwhile.
        state.sink = Some(sink);
    }
}

impl<R, K> Desk<R, K> {
    fn lock(&self) -> MutexGuard<'_, State<R, K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a worker that panics never comes, and nobody may wait for it.
struct AbandonOnPanic<'d, R, K>(&'d Desk<R, K>);

impl<R, K> Drop for AbandonOnPanic<'_, R, K> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().abandoned = true;
            self.0.room.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn results_come_in_order_and_all_of_them() {
        for threads in [1, 2, 7] {
            let mut got = Vec::new();
            let uneven = |_: &mut (), index: u64| {
                if index.is_multiple_of(5) {
                    thread::sleep(std::time::Duration::from_millis(1));
                }
                (index, true)
            };
            run(
                100,
                threads,
                || (),
                uneven,
                |index| {
                    got.push(index);
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(got, (0..100).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn workers_do_not_run_away_from_a_slow_sink() {
        let started = AtomicU64::new(0);
        let mut delivered = 0;
        run(
            1000,
            3,
            || (),
            |(), index| {
                started.fetch_add(1, Ordering::SeqCst);
                (index, true)
            },
            |_| {
                thread::sleep(std::time::Duration::from_micros(100));
                assert!(started.load(Ordering::SeqCst) - delivered <= 3 * AHEAD + 1);
                delivered += 1;
                ControlFlow::Continue(())
            },
        );
        assert_eq!(delivered, 1000);
    }

    #[test]
    fn a_break_ends_the_work() {
        for threads in [1, 4] {
            let started = AtomicU64::new(0);
            let mut got = Vec::new();
            run(
                1_000_000,
                threads,
                || (),
                |(), index| {
                    started.fetch_add(1, Ordering::SeqCst);
                    (index, true)
                },
                |index| {
                    got.push(index);
                    if index == 9 {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            );
            assert_eq!(got, (0..10).collect::<Vec<_>>());
            assert!(started.into_inner() < 10 + 4 * (AHEAD + 1));
        }
    }

    #[test]
    fn after_a_stop_what_was_started_is_delivered_without_gaps() {
        for threads in [1, 4] {
            let mut got = Vec::new();
            run(
                1_000_000,
                threads,
                || (),
                |(), index| (index, index != 50),
                |index| {
                    got.push(index);
                    ControlFlow::Continue(())
                },
            );
            assert!(
                got.len() > 50 && got.len() < 51 + 4 * (AHEAD + 1) as usize,
                "{threads} threads: {}",
                got.len()
            );
            assert_eq!(got, (0..got.len() as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_on_either_side_is_passed_on_instead_of_hanging() {
        let in_work = catch_unwind(|| {
            run(
                1000,
                3,
                || (),
                |(), index| (assert_ne!(index, 20), true),
                |()| ControlFlow::Continue(()),
            );
        });
        assert!(in_work.is_err());
        let in_sink = catch_unwind(AssertUnwindSafe(|| {
            run(
                1000,
                3,
                || (),
                |(), index| (index, true),
                |index| {
                    assert_ne!(index, 20);
                    ControlFlow::Continue(())
                },
            );
        }));
        assert!(in_sink.is_err());
    }
}
