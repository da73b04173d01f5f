//! The threads that do slow work: one writes the log, one scans, installs and removes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use prometheus::Histogram;
use raftkv::log_store::{LogBatch, LogStore};
use raftkv::store::LogWrite;
use raftkv::{Error, Result};
use standalone::engine::Engine;
use tokio::sync::mpsc::UnboundedSender;

use crate::raftstore::{Job, JobDone};

/// How many log writes may wait. Whatever waits is merged into one commit, so that this bounds memory, not speed.
const LOG_QUEUE: usize = 64;

/// How many jobs may wait for the region worker.
const REGION_QUEUE: usize = 64;

/// Something that was asked for is done. As many can be on their way back as were asked for, and those queues are
/// bounded; so this one need not be, and must not: a worker that waits for the loop, which waits for the worker, would
/// wait for ever.
#[derive(Debug)]
pub(super) enum Done {
    /// All log writes up to this one are durable, or the disk failed.
    Log(Result<u64>),
    /// A job of the region worker.
    Job(JobDone),
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let failed = |e: std::io::Error| Error::System { doing: "start a thread", what: e.to_string() };
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(failed)
}

/// Starts the log writer. It ends when its queue is dropped.
pub(super) fn log_writer(
    log: Arc<dyn LogStore>,
    took: Histogram,
    done: UnboundedSender<Done>,
) -> Result<SyncSender<LogWrite>> {
    let (queue, incoming) = sync_channel(LOG_QUEUE);
    spawn("log writer", move || write_logs(&*log, &took, &incoming, &done))?;
    Ok(queue)
}

fn write_logs(
    log: &dyn LogStore,
    took: &Histogram,
    incoming: &Receiver<LogWrite>,
    done: &UnboundedSender<Done>,
) {
    while let Ok(first) = incoming.recv() {
        let mut batch = LogBatch::default();
        let mut last = first.id;
        batch.merge(first.batch);
        // While one commit is under way the next one gathers: the busier the store, the more regions share an fsync.
        for write in incoming.try_iter() {
            last = write.id;
            batch.merge(write.batch);
        }
        let timer = took.start_timer();
        let result = log.commit(&batch).map(|()| last);
        timer.observe_duration();
        let failed = result.is_err();
        // Nobody listens any more: the store was stopped, and its last promises were not sent.
        if done.send(Done::Log(result)).is_err() || failed {
            return;
        }
    }
}

/// Starts the region worker. It ends when its queue is dropped.
pub(super) fn region_worker(
    kv: Engine,
    done: UnboundedSender<Done>,
) -> Result<SyncSender<Box<Job>>> {
    let (queue, incoming) = sync_channel::<Box<Job>>(REGION_QUEUE);
    spawn("region worker", move || {
        while let Ok(job) = incoming.recv() {
            if done.send(Done::Job(job.run(&kv))).is_err() {
                return;
            }
        }
    })?;
    Ok(queue)
}
