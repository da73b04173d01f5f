//! The way into the loop: one bounded queue for everything that can come.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::raft_serverpb::RaftMessage;
use standalone::server::Stop;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval};

use crate::peer::Micros;
use crate::storage::Inbox;
use crate::store::Request;

/// How many inputs may wait for the loop. Beyond that, whoever has one waits for room.
const INPUTS: usize = 4096;

/// The length of a tick.
pub const TICK: Micros = 50_000;

/// What can come to the loop. `W` is what is said to one kind of store only: about the disks of a fixed group, say.
#[derive(Debug)]
pub enum Input<W> {
    /// [`TICK`] has passed.
    Tick,
    /// From another store, which is the one that the message names as its sender.
    Message(Box<RaftMessage>),
    /// The same, with a part of a snapshot, and the room that it takes up until it is looked at.
    Part(Box<RaftMessage>, Bytes, OwnedSemaphorePermit),
    /// This store could not be reached.
    Unreachable(u64),
    /// A snapshot's way has ended.
    SnapshotSent {
        /// Of which region.
        region: u64,
        /// To which store.
        to: u64,
        /// Whether it came there.
        arrived: bool,
    },
    /// A client asks, and waits since then.
    Request(Request, Instant),
    /// See `W`.
    Word(W),
    /// End in order.
    Stop,
}

/// The way into the loop. Clones are the same way.
#[derive(Debug)]
pub struct Inputs<W>(Sender<Input<W>>);

// Not derived: that would ask for a clone of a word.
impl<W> Clone for Inputs<W> {
    fn clone(&self) -> Self {
        Inputs(self.0.clone())
    }
}

impl<W: Send + 'static> Inputs<W> {
    /// A way in, and where it leads.
    pub fn new() -> (Self, Receiver<Input<W>>) {
        let (sender, receiver) = channel(INPUTS);
        (Inputs(sender), receiver)
    }

    /// Waits for room. What comes after the end is dropped: its callbacks, if any, answer that nobody knows.
    pub async fn put(&self, input: Input<W>) {
        let _ = self.0.send(input).await;
    }

    /// Ticks until the stop. If the loop is behind, it needs no more of them.
    pub async fn tick(self, stop: Stop) {
        let mut interval = interval(Duration::from_micros(TICK));
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let stopped = stop.thrown();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => return,
                _ = interval.tick() => {
                    let _ = self.0.try_send(Input::Tick);
                }
            }
        }
    }
}

impl<W: Send + 'static> Inbox for Inputs<W> {
    async fn send(&self, request: Request) {
        // The edge: how long it has waited is measured, nothing is decided by it.
        self.put(Input::Request(request, Instant::now())).await;
    }
}
