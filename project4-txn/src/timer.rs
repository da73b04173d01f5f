//! Waiting for a time, as a future that is handed in.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// A future that is done when a time is over.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Gives out futures that wait. The server's asks tokio; a test's says when the time is over.
pub trait Timer: Send + Sync + 'static {
    /// Completes after so many milliseconds.
    fn sleep(&self, millis: u64) -> Sleep;
}

/// Waits for `future`, at most until `sleep` is over: true if `future` came first. If both are there, it did.
pub(crate) async fn before(future: impl Future<Output = ()>, sleep: &mut Sleep) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        sleep.as_mut().poll(cx).map(|()| false)
    })
    .await
}
