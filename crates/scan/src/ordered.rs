//! Work done on many threads, results handed over in order on one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Finished results a thread may be ahead of the one that is delivered next.
const AHEAD: u64 = 2;

/// Runs `work` for the indices below `count` on `threads` threads and calls
/// `sink` with the results by rising index, on the calling thread.
///
/// `work` says beside its result whether to go on; when it does not, no
/// further index is started, and those already started are still delivered.
/// When `sink` breaks, what is finished or under way is dropped.
pub(crate) fn run<S, R: Send>(
    count: u64,
    threads: usize,
    init: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u64) -> (R, bool) + Sync,
    mut sink: impl FnMut(R) -> ControlFlow<()>,
) {
    let desk = Desk {
        state: Mutex::new(State {
            count,
            claimed: 0,
            delivered: 0,
            done: BTreeMap::new(),
            workers: 0,
            abandoned: false,
        }),
        ahead: AHEAD.saturating_mul(threads as u64).max(1),
        finished: Condvar::new(),
        room: Condvar::new(),
    };
    let (desk, init, work) = (&desk, &init, &work);
    thread::scope(|scope| {
        // Should `sink` panic, the workers must not wait for it for ever.
        let _consumer = Abandon(desk);
        let mut spawned = 0;
        while threads > 1 && spawned < threads {
            let attendance = Attendance::of(desk);
            let worker = move || {
                let _attendance = attendance;
                let mut state = init();
                while let Some(index) = desk.claim() {
                    let (result, go_on) = work(&mut state, index);
                    desk.file(index, result, go_on);
                }
            };
            if thread::Builder::new().spawn_scoped(scope, worker).is_err() {
                break;
            }
            spawned += 1;
        }
        if spawned == 0 {
            // One thread was asked for, or the system grants none.
            let mut state = init();
            while let Some(index) = desk.claim() {
                let (result, go_on) = work(&mut state, index);
                desk.file(index, result, go_on);
                desk.deliver(&mut sink);
            }
        } else {
            desk.deliver(&mut sink);
        }
    });
}

/// Where workers fetch indices and leave results.
struct Desk<R> {
    state: Mutex<State<R>>,
    /// How far `claimed` may be ahead of `delivered`.
    ahead: u64,
    /// A result was filed, or a worker left.
    finished: Condvar,
    /// A result was delivered, or nothing more is wanted.
    room: Condvar,
}

struct State<R> {
    /// No index at or above this one is started.
    count: u64,
    claimed: u64,
    delivered: u64,
    done: BTreeMap<u64, R>,
    workers: usize,
    /// Nothing more will be delivered.
    abandoned: bool,
}

impl<R> Desk<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn file(&self, index: u64, result: R, go_on: bool) {
        let mut state = self.lock();
        state.done.insert(index, result);
        if !go_on {
            state.count = state.claimed;
            self.room.notify_all();
        }
        self.finished.notify_one();
    }

    /// Delivers until no worker is left that could bring the next result.
    fn deliver(&self, sink: &mut impl FnMut(R) -> ControlFlow<()>) {
        let mut state = self.lock();
        loop {
            let next = state.delivered;
            if let Some(result) = state.done.remove(&next) {
                drop(state);
                let flow = sink(result);
                state = self.lock();
                state.delivered += 1;
                state.abandoned |= flow.is_break();
                self.room.notify_all();
            }
            if state.abandoned || (state.workers == 0 && !state.done.contains_key(&state.delivered))
            {
                return;
            }
            if !state.done.contains_key(&state.delivered) {
                state = self
                    .finished
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn abandon(&self) {
        self.lock().abandoned = true;
        self.room.notify_all();
        self.finished.notify_all();
    }
}

/// A worker counted in; dropping it counts the worker out, even when it panics:
/// then its result never comes, and nobody may wait for it.
struct Attendance<'d, R>(&'d Desk<R>);

impl<'d, R> Attendance<'d, R> {
    fn of(desk: &'d Desk<R>) -> Self {
        desk.lock().workers += 1;
        Attendance(desk)
    }
}

impl<R> Drop for Attendance<'_, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abandon();
        }
        self.0.lock().workers -= 1;
        self.0.finished.notify_one();
    }
}

/// Ends all waiting when it is dropped.
struct Abandon<'d, R>(&'d Desk<R>);

impl<R> Drop for Abandon<'_, R> {
    fn drop(&mut self) {
        self.0.abandon();
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
            assert!(started.into_inner() < 100);
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
                got.len() > 50 && got.len() < 100,
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
