//! Time that passes when the judge says so.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use txn::timer::{Sleep, Timer};

/// A clock in milliseconds. Clones are the same one.
#[derive(Clone, Default)]
pub struct ManualTime(Arc<Mutex<(u64, Vec<Waker>)>>);

impl ManualTime {
    /// Lets time pass.
    pub fn pass(&self, millis: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += millis;
        let woken = std::mem::take(&mut state.1);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// It is so late now.
    pub fn set(&self, millis: u64) {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).0;
        self.pass(millis.saturating_sub(now));
    }
}

impl Timer for ManualTime {
    fn sleep(&self, millis: u64) -> Sleep {
        let time = self.clone();
        let until = time.0.lock().unwrap_or_else(PoisonError::into_inner).0 + millis;
        Box::pin(poll_fn(move |cx| {
            let mut state = time.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 >= until {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        }))
    }
}
