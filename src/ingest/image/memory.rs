//! How much memory decoding photos takes, all threads together.
//!
//! In come the bytes one photo will need; out goes a permit, held while it is decoded. Photos of
//! ordinary size never wait; a folder of giants is decoded a few at a time.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After this long a photo is decoded all the same: the bound is there to protect the machine, and
/// must not be able to stop a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes in use by permits.
static IN_USE: Mutex<u64> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

thread_local! {
    static HOLDING: Cell<bool> = const { Cell::new(false) };
}

/// The right to use memory; given back when dropped.
pub(super) struct Permit(u64);

impl Permit {
    /// Waits until `bytes` more fit into `limit`, or nothing else is in use.
    pub(super) fn take(bytes: u64, limit: u64) -> Self {
        // A thread that decodes a photo within another's decoding would wait for itself.
        if HOLDING.get() {
            return Self(0);
        }
        let start = Instant::now();
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        while *in_use > 0 && in_use.saturating_add(bytes) > limit {
            let Some(left) = PATIENCE.checked_sub(start.elapsed()) else {
                break;
            };
            in_use = RETURNED.wait_timeout(in_use, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *in_use = in_use.saturating_add(bytes);
        HOLDING.set(bytes > 0);
        Self(bytes)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0 > 0 {
            let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
            *in_use = in_use.saturating_sub(self.0);
            HOLDING.set(false);
            RETURNED.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn giants_go_one_at_a_time_and_nobody_waits_for_himself() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        // Alone in use, even one beyond the limit goes through.
                        let _permit = Permit::take(1 << 62, 1 << 40);
                        let _inner = Permit::take(1 << 62, 1 << 40);
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::sleep(Duration::from_micros(100));
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}
