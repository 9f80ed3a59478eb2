//! Work on many items in parallel, handed on in their order.
//!
//! In come items one by one, and a function to run on each; out go its results, on the calling
//! thread and in the order of the items. At most `window` items are on the way at any time, waiting
//! results included, so memory stays bounded whatever the number of items; there is no pause
//! between batches: a place that falls free is taken by the next item. The calling thread may be a
//! worker of the pool itself.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::Cancel;

/// How long a waiting worker of the pool sleeps before it looks for work again.
const NAP: Duration = Duration::from_millis(1);

/// The work was stopped through its [`Cancel`] flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Runs `work` on every item in the current rayon pool and gives the results to `sink` in order.
///
/// `window` is the most items on the way at once (0 counts as 1); a few times the number of threads
/// keeps all of them busy. In a pool of one thread everything runs on the calling thread.
///
/// # Errors
/// The first of these ends the run, after the work that has already begun: an item that is an error
/// (once the results before it are handed on), an error of `sink`, a raised `cancel`. A panic of
/// `work` goes on in the calling thread.
pub(crate) fn ordered<I, T, R, E, F, S>(
    items: I,
    window: usize,
    cancel: &Cancel,
    work: F,
    mut sink: S,
) -> Result<(), E>
where
    I: IntoIterator<Item = Result<T, E>>,
    T: Send,
    R: Send,
    E: From<Cancelled>,
    F: Fn(T) -> R + Sync,
    S: FnMut(R) -> Result<(), E>,
{
    let mut items = items.into_iter();
    if rayon::current_num_threads() == 1 {
        return items.try_for_each(|item| {
            let item = watch(cancel, || item)?;
            sink(work(item))
        });
    }
    let stop = AtomicBool::new(false);
    rayon::in_place_scope_fifo(|scope| {
        // Also when the sink or the iterator panics, work not yet begun must not begin.
        let _stop = RaiseOnDrop(&stop);
        let (sender, receiver) = mpsc::channel();
        let (stop, work) = (&stop, &work);
        let spawn = move |number: u64, item: T| {
            let sender = sender.clone();
            scope.spawn_fifo(move |_| {
                if !stop.load(Ordering::Relaxed) {
                    let result = catch_unwind(AssertUnwindSafe(|| work(item)));
                    // The receiver is gone only when the run has ended early.
                    let _ = sender.send((number, result));
                }
            });
        };
        feed(&mut items, window.max(1), cancel, spawn, &receiver, &mut sink)
    })
}

/// Fails if `cancel` is raised, else takes the next item.
fn watch<T, E: From<Cancelled>>(
    cancel: &Cancel,
    item: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if cancel.is_cancelled() {
        return Err(Cancelled.into());
    }
    item()
}

struct RaiseOnDrop<'a>(&'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps `window` items on the way and hands their results on in order.
fn feed<T, R, E: From<Cancelled>>(
    items: &mut impl Iterator<Item = Result<T, E>>,
    window: usize,
    cancel: &Cancel,
    spawn: impl Fn(u64, T),
    results: &Receiver<(u64, thread::Result<R>)>,
    sink: &mut impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting = Reorder::new();
    let mut spawned = 0_u64;
    // How the items ended, once they have.
    let mut end: Option<Result<(), E>> = None;
    loop {
        while end.is_none() && waiting.on_the_way(spawned) < window {
            match watch(cancel, || items.next().transpose()) {
                Ok(Some(item)) => {
                    spawn(spawned, item);
                    spawned += 1;
                }
                Ok(None) => end = Some(Ok(())),
                Err(error) => end = Some(Err(error)),
            }
        }
        if cancel.is_cancelled() {
            return Err(Cancelled.into());
        }
        if waiting.on_the_way(spawned) == 0
            && let Some(end) = end
        {
            return end;
        }
        if let Some((number, result)) = receive(results) {
            waiting.put(number, result.unwrap_or_else(|panic| resume_unwind(panic)));
        }
        while let Some(result) = waiting.take() {
            sink(result)?;
        }
    }
}

/// The next finished result; None where a look at the cancel flag is due first.
///
/// A worker of the pool runs other tasks meanwhile: were it to sleep, a core would lie idle, and
/// where every worker waits like this the run would never end.
fn receive<M>(results: &Receiver<M>) -> Option<M> {
    if let Ok(result) = results.try_recv() {
        return Some(result);
    }
    let nap = match rayon::yield_now() {
        Some(rayon::Yield::Executed) => return None,
        Some(rayon::Yield::Idle) => NAP,
        // Not a worker of any pool: only the cancel flag is left to look at.
        None => NAP * 20,
    };
    results.recv_timeout(nap).ok()
}

/// Results that came before their turn.
struct Reorder<R> {
    /// The number of the result whose turn it is, which is the first of `early`.
    next: u64,
    early: VecDeque<Option<R>>,
}

impl<R> Reorder<R> {
    fn new() -> Self {
        Self { next: 0, early: VecDeque::new() }
    }

    /// Items of the first `spawned` whose results have not been taken yet.
    fn on_the_way(&self, spawned: u64) -> usize {
        // Bounded by the window, so it fits.
        (spawned - self.next) as usize
    }

    fn put(&mut self, number: u64, result: R) {
        let place = (number - self.next) as usize;
        if place >= self.early.len() {
            self.early.resize_with(place + 1, || None);
        }
        self.early[place] = Some(result);
    }

    fn take(&mut self) -> Option<R> {
        let result = self.early.front_mut()?.take()?;
        self.early.pop_front();
        self.next += 1;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Debug, PartialEq)]
    enum Failure {
        Cancelled,
        Item(u64),
        Sink(u64),
    }

    impl From<Cancelled> for Failure {
        fn from(_: Cancelled) -> Self {
            Self::Cancelled
        }
    }

    fn in_pool<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(run)
    }

    /// Uneven on purpose, so that results overtake each other.
    fn slow(n: u64) -> u64 {
        thread::sleep(Duration::from_micros((n * 7919) % 13 * 50));
        n * 2
    }

    fn items(count: u64) -> impl Iterator<Item = Result<u64, Failure>> + Send {
        (0..count).map(Ok)
    }

    fn collect(count: u64, window: usize) -> Vec<u64> {
        let mut seen = Vec::new();
        let done = ordered(items(count), window, &Cancel::new(), slow, |n| {
            seen.push(n);
            Ok(())
        });
        assert_eq!(done, Ok(()));
        seen
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let expected: Vec<u64> = (0..300).map(|n| n * 2).collect();
        for window in [0, 1, 2, 7, 1000] {
            assert_eq!(collect(300, window), expected, "window {window}");
            for threads in [1, 2, 4] {
                let seen = in_pool(threads, || collect(300, window));
                assert_eq!(seen, expected, "window {window}, {threads} threads");
            }
        }
        assert_eq!(collect(0, 4), Vec::<u64>::new());
    }

    #[test]
    fn no_more_items_are_on_the_way_than_the_window() {
        struct Held<'a>(&'a AtomicUsize);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        in_pool(4, || {
            let items = (0..200).map(|n| {
                let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                Ok::<_, Failure>((n, Held(&held)))
            });
            let work = |(n, held)| {
                slow(n);
                held
            };
            ordered(items, 6, &Cancel::new(), work, |held| {
                drop(held);
                Ok(())
            })
            .unwrap();
        });
        assert_eq!(held.load(Ordering::SeqCst), 0);
        assert_eq!(most.load(Ordering::SeqCst), 6);
    }

    #[test]
    fn a_bad_item_ends_the_run_after_the_results_before_it() {
        for threads in [1, 3] {
            let mut seen = Vec::new();
            let done = in_pool(threads, || {
                let items = (0..100).map(|n| if n == 40 { Err(Failure::Item(n)) } else { Ok(n) });
                ordered(items, 8, &Cancel::new(), slow, |n| {
                    seen.push(n);
                    Ok(())
                })
            });
            assert_eq!(done, Err(Failure::Item(40)));
            assert_eq!(seen.len(), 40);
        }
    }

    #[test]
    fn an_error_of_the_sink_ends_the_run() {
        for threads in [1, 3] {
            let started = AtomicUsize::new(0);
            let done = in_pool(threads, || {
                let work = |n| {
                    started.fetch_add(1, Ordering::SeqCst);
                    slow(n)
                };
                ordered(items(1000), 8, &Cancel::new(), work, |n| {
                    if n == 20 { Err(Failure::Sink(n)) } else { Ok(()) }
                })
            });
            assert_eq!(done, Err(Failure::Sink(20)));
            assert!(started.load(Ordering::SeqCst) <= 10 + 8);
        }
    }

    #[test]
    fn cancelling_ends_the_run() {
        for threads in [1, 3] {
            let cancel = Cancel::new();
            let mut seen = 0;
            let done = in_pool(threads, || {
                ordered((0_u64..).map(Ok), 8, &cancel, slow, |_| {
                    seen += 1;
                    if seen == 30 {
                        cancel.cancel();
                    }
                    Ok(())
                })
            });
            assert_eq!(done, Err(Failure::Cancelled));
            assert!(seen < 30 + 8, "{seen}");
        }
    }

    #[test]
    fn a_panic_of_the_work_reaches_the_caller() {
        for threads in [1, 3] {
            let caught = catch_unwind(|| {
                in_pool(threads, || {
                    let work = |n| {
                        if n == 17 { panic!("seventeen") } else { slow(n) }
                    };
                    ordered(items(500), 8, &Cancel::new(), work, |_| Ok(()))
                })
            });
            let panic = caught.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"seventeen"));
        }
    }

    #[test]
    fn runs_within_runs_end() {
        let sums = in_pool(2, || {
            let mut sums = Vec::new();
            let work = |n: u64| collect(n % 20, 3).iter().sum::<u64>();
            ordered(items(40), 4, &Cancel::new(), work, |sum| {
                sums.push(sum);
                Ok::<_, Failure>(())
            })
            .unwrap();
            sums
        });
        let expected: Vec<u64> = (0..40_u64).map(|n| (0..n % 20).map(|m| m * 2).sum()).collect();
        assert_eq!(sums, expected);
    }
}
