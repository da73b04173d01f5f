//! The threads that do slow work: one writes the log; one writes the data, and one scans and installs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use standalone::engine::{Durability, Engine};
use tokio::sync::mpsc::UnboundedSender;

use crate::Result;
use crate::error::Error;
use crate::log_store::{LogBatch, LogStore};
use crate::store::{KvWrite, LogWrite};

/// How many log writes may wait. Whatever waits is merged into one commit, so that this bounds memory, not speed.
const LOG_QUEUE: usize = 64;

/// How many writes of data may wait: the store asks for one at a time.
const KV_QUEUE: usize = 1;

/// Up to so many bytes of data are written by whoever asks, if nothing waits for it meanwhile.
const SMALL_BYTES: u64 = 16 << 10;

/// How many jobs may wait for the region worker.
pub const REGION_QUEUE: usize = 64;

/// Something that was asked for is done. As many can be on their way back as were asked for, and those queues are
/// bounded; so this one need not be, and must not: a worker that waits for the loop, which waits for the worker, would
/// wait for ever.
#[derive(Debug)]
pub enum Done<J> {
    /// All log writes up to this one are durable, or the disk failed.
    Log(Result<u64>),
    /// The write to the data is committed, or the disk failed.
    Kv(Result<()>),
    /// A job of the region worker.
    Job(J),
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let failed = |e: std::io::Error| Error::System { doing: "start a thread", what: e.to_string() };
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(failed)
}

/// Starts the log writer. It ends when its queue is dropped.
///
/// # Errors
/// The thread cannot be started.
pub fn log_writer<J: Send + 'static>(
    log: Arc<dyn LogStore>,
    done: UnboundedSender<Done<J>>,
) -> Result<SyncSender<LogWrite>> {
    let (queue, incoming) = sync_channel(LOG_QUEUE);
    spawn("log writer", move || write_logs(&*log, &incoming, &done))?;
    Ok(queue)
}

fn write_logs<J>(
    log: &dyn LogStore,
    incoming: &Receiver<LogWrite>,
    done: &UnboundedSender<Done<J>>,
) {
    while let Ok(first) = incoming.recv() {
        let mut batch = LogBatch::default();
        let mut last = first.id;
        batch.merge(first.batch);
        // While one commit is under way the next one gathers: the busier the store, the more share an fsync.
        for write in incoming.try_iter() {
            last = write.id;
            batch.merge(write.batch);
        }
        let result = log.commit(&batch).map(|()| last);
        let failed = result.is_err();
        // Nobody listens any more: the store was stopped, and its last promises were not sent.
        if done.send(Done::Log(result)).is_err() || failed {
            return;
        }
    }
}

/// The writer of the data: a thread, or the loop itself.
///
/// With a thread the loop goes on while the data is written, which is what counts when there is much to do. With one
/// client there is nothing else to do, and to hand a few bytes over and back costs more than to write them: two threads
/// must wake up. So a small write that needs no fsync is done at once, if nothing waits for the loop.
pub struct KvWriter {
    kv: Engine,
    queue: SyncSender<KvWrite>,
}

impl KvWriter {
    /// Starts the thread. `took` is told how long each write took, and whether it was synced.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start<J: Send + 'static>(
        kv: Engine,
        done: UnboundedSender<Done<J>>,
        took: impl Fn(Duration, Durability) + Send + 'static,
    ) -> Result<Self> {
        let engine = kv.clone();
        let queue = worker("kv writer", KV_QUEUE, done, move |write: KvWrite| {
            let began = Instant::now();
            let done = write.run(&engine);
            took(began.elapsed(), write.durability);
            Done::Kv(done)
        })?;
        Ok(KvWriter { kv, queue })
    }

    /// Writes, or has it written: true if it is done already. `idle`: nothing waits for whoever asks, and nobody else
    /// writes to this engine.
    ///
    /// # Errors
    /// The disk's, or the writer has ended.
    pub fn write(&self, write: KvWrite, idle: bool) -> Result<bool> {
        let small = write.durability == Durability::None && write.batch.bytes() <= SMALL_BYTES;
        if idle && small {
            write.run(&self.kv)?;
            return Ok(true);
        }
        let gone =
            |_| Error::System { doing: "write the data", what: "its writer has ended".into() };
        self.queue.send(write).map_err(gone)?;
        Ok(false)
    }
}

/// Starts a worker that does one piece of work after the other, with room for so many. It ends when its queue is dropped.
///
/// # Errors
/// The thread cannot be started.
pub fn worker<W: Send + 'static, J: Send + 'static>(
    name: &str,
    room: usize,
    done: UnboundedSender<Done<J>>,
    mut work: impl FnMut(W) -> Done<J> + Send + 'static,
) -> Result<SyncSender<W>> {
    let (queue, incoming) = sync_channel::<W>(room);
    spawn(name, move || {
        while let Ok(next) = incoming.recv() {
            if done.send(work(next)).is_err() {
                return;
            }
        }
    })?;
    Ok(queue)
}
