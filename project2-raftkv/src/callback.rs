//! An answer that is given exactly once.
//!
//! Whoever asks keeps a [`Waiter`], a future; the [`Callback`] travels with the request. Completing a callback
//! consumes it, so nobody can answer twice; dropping it unanswered (a destroyed peer, a forgotten list) completes
//! the waiter too, with `None`, which its owner must take for "nobody knows". So no path hangs, and none lies.
//!
//! No runtime is needed: tokio polls the waiter in the server, `sim`'s executor in a test.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<T> {
    Open(Option<Waker>),
    /// `None` inside: the callback was dropped.
    Closed(Option<T>),
}

// A lock because the two ends live on two threads; held for a move of one value, never while waking.
type Shared<T> = Arc<Mutex<State<T>>>;

/// The end that answers.
#[derive(Debug)]
pub struct Callback<T>(Option<Shared<T>>);

/// The end that waits: a future of the answer, or of `None` if the callback was dropped without one.
#[derive(Debug)]
pub struct Waiter<T>(Shared<T>);

impl<T> std::fmt::Debug for State<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Open(_) => "open",
            State::Closed(Some(_)) => "answered",
            State::Closed(None) => "abandoned or taken",
        })
    }
}

/// A callback and its waiter.
pub fn callback<T>() -> (Callback<T>, Waiter<T>) {
    let shared = Arc::new(Mutex::new(State::Open(None)));
    (Callback(Some(shared.clone())), Waiter(shared))
}

impl<T> Callback<T> {
    /// Gives the answer, the only one.
    pub fn complete(mut self, answer: T) {
        if let Some(shared) = self.0.take() {
            close(&shared, Some(answer));
        }
    }
}

impl<T> Drop for Callback<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            close(&shared, None);
        }
    }
}

fn close<T>(shared: &Shared<T>, answer: Option<T>) {
    let before = std::mem::replace(
        &mut *shared.lock().unwrap_or_else(PoisonError::into_inner),
        State::Closed(answer),
    );
    // Waking runs foreign code; it must not find the lock held.
    if let State::Open(Some(waker)) = before {
        waker.wake();
    }
}

impl<T> Waiter<T> {
    /// The answer if it is there already; the waiter is spent then.
    pub fn try_take(&mut self) -> Option<Option<T>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open(_) => None,
            State::Closed(answer) => Some(answer.take()),
        }
    }
}

impl<T> Future for Waiter<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Closed(answer) => Poll::Ready(answer.take()),
        }
    }
}
