//! The loop: takes what has come, all of it, and makes one round of it.

use std::num::NonZero;
use std::thread;
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::inputs::Input;
use super::workers::Done;
use crate::Result;
use crate::error::Error;
use crate::peer::Micros;

/// How many inputs go into one round.
const ROUND: usize = 1024;

/// How long a request may take before nobody waits for it any more. Clients give up after two seconds.
pub const PATIENCE: Micros = 5_000_000;

/// A store with its hands: what a loop drives. An error ends it: it must be opened anew from what is durable.
pub trait Driven: Send + 'static {
    /// What only this kind of store is told; see [`Input`].
    type Word: Send + 'static;
    /// What its region worker brings back.
    type JobDone: Send + 'static;

    /// Something has come; it is so late. Never [`Input::Stop`].
    ///
    /// # Errors
    /// The store is broken, or must not go on.
    fn input(&mut self, input: Input<Self::Word>, now: Micros) -> Result<()>;

    /// Something that was asked of a worker is done.
    ///
    /// # Errors
    /// The store is broken, or the worker's disk.
    fn done(&mut self, done: Done<Self::JobDone>) -> Result<()>;

    /// Carries out what the store wants done, in its order, until it wants nothing more. It is so late; `idle`: nothing else
    /// waits for the loop.
    ///
    /// # Errors
    /// The store is broken, or a worker is gone.
    fn round(&mut self, now: Micros, idle: bool) -> Result<()>;

    /// Ends in order: everybody who waits is answered.
    ///
    /// # Errors
    /// As [`round`](Self::round).
    fn close(&mut self) -> Result<()>;
}

/// The runtime of a process that is one store, for its sockets.
///
/// One core is left to the raft loop and the log writer. Where there are two, the one worker that the runtime has then runs the
/// loop, too; see [`spawn`].
///
/// # Errors
/// The threads cannot be started.
pub fn runtime() -> Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = cores.saturating_sub(1).max(1);
    let failed =
        |e: std::io::Error| Error::System { doing: "start the runtime", what: e.to_string() };
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(failed)
}

/// Starts the loop. Its end, and why, comes out of the receiver. Must be called on a tokio runtime.
///
/// The loop has a thread of its own, unless the runtime has one only: then it is a task among those of the sockets. Each message
/// would wake the other thread otherwise, about six times a write. On two cores, which three stores and their clients share, that
/// takes a tenth of one client's time, and a sixth of what 64 clients get done. A round waits for nothing but room in
/// the queue of a disk's thread, and writes by itself only what needs no fsync.
///
/// # Errors
/// The thread cannot be started.
pub fn spawn<D: Driven>(
    driven: D,
    inputs: Receiver<Input<D::Word>>,
    dones: UnboundedReceiver<Done<D::JobDone>>,
) -> Result<oneshot::Receiver<Result<()>>> {
    let (end, ended) = oneshot::channel();
    let runtime = Handle::current();
    let shares = runtime.metrics().num_workers() == 1;
    // Whoever waited for the end may be gone.
    let all = async move { drop(end.send(run(driven, inputs, dones, shares).await)) };
    if shares {
        runtime.spawn(all);
        return Ok(ended);
    }
    let failed = |e: std::io::Error| Error::System { doing: "start a thread", what: e.to_string() };
    thread::Builder::new()
        .name("raft loop".into())
        .spawn(move || runtime.block_on(all))
        .map_err(failed)?;
    Ok(ended)
}

async fn run<D: Driven>(
    mut driven: D,
    mut inputs: Receiver<Input<D::Word>>,
    mut dones: UnboundedReceiver<Done<D::JobDone>>,
    // With others, on one thread.
    shares: bool,
) -> Result<()> {
    // The edge: from here on time is told to the store, as what has passed since.
    let began = Instant::now();
    let now = || Micros::try_from(began.elapsed().as_micros()).unwrap_or(Micros::MAX);
    loop {
        // What is done lets others go on: first.
        let mut goes_on = tokio::select! {
            biased;
            Some(done) = dones.recv() => driven.done(done).map(|()| true)?,
            input = inputs.recv() => take(&mut driven, input.unwrap_or(Input::Stop), now())?,
        };
        if shares {
            // Whoever is ready to say something says it now, so that one round is made of all of it.
            yield_now().await;
        }
        for _ in 0..ROUND {
            if let Ok(done) = dones.try_recv() {
                driven.done(done)?;
            } else if let Ok(input) = inputs.try_recv() {
                goes_on &= take(&mut driven, input, now())?;
            } else {
                break;
            }
        }
        driven.round(now(), inputs.is_empty() && dones.is_empty())?;
        if !goes_on {
            return driven.close();
        }
    }
}

fn take<D: Driven>(driven: &mut D, input: Input<D::Word>, now: Micros) -> Result<bool> {
    if matches!(input, Input::Stop) {
        return Ok(false);
    }
    driven.input(input, now)?;
    Ok(true)
}
