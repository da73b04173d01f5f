//! Polls futures on one thread, in an order that a seed decides.
//!
//! A handler that awaits (storage, a latch, a lock) is a future; on tokio the scheduler decides who
//! goes first. Here [`Executor::run`] draws each next task from those that can go on, so a race is a
//! seed, and the same seed is the same race. There is no reactor: a task that waits for something
//! outside stays parked until somebody wakes it, and `run` returns when nobody can go on.
//!
//! [`yield_now`] is a future that is pending once: put before a step, it lets the seed run others in
//! between.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::rng::Rng;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A single-threaded executor with a seeded order.
pub struct Executor {
    tasks: BTreeMap<u64, Task>,
    next: u64,
    ready: Ready,
    rng: Rng,
}

// Woken tasks. A lock because a `Waker` must be `Send`; one thread uses it.
type Ready = Arc<Mutex<Vec<u64>>>;

struct WakeTask {
    id: u64,
    ready: Ready,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&self.id) {
            ready.push(self.id);
        }
    }
}

impl Executor {
    /// An executor whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Executor {
            tasks: BTreeMap::new(),
            next: 0,
            ready: Ready::default(),
            rng: Rng::fork(seed, "executor"),
        }
    }

    /// Adds a task; it first runs in the next [`Executor::run`].
    pub fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let id = self.next;
        self.next += 1;
        self.tasks.insert(id, Box::pin(future));
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Polls until no task can go on, at most `steps` polls. Returns how many tasks are unfinished.
    pub fn run(&mut self, steps: usize) -> usize {
        for _ in 0..steps {
            let id = {
                let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
                if ready.is_empty() {
                    break;
                }
                let index = self.rng.below(ready.len());
                ready.swap_remove(index)
            };
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            let waker = Waker::from(Arc::new(WakeTask { id, ready: self.ready.clone() }));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.tasks.remove(&id);
            }
        }
        self.tasks.len()
    }
}

/// Pending once, then ready: a place where the executor may run somebody else.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(move |cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
