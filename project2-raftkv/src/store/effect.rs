//! What a store wants done, in the order in which it must be done.
//!
//! A store decides; whoever drives it has the hands. [`Effect`]s come in a list, and the list *is* the rule: what stands
//! behind another may rest on it, and if something fails nothing behind it may be done.
//!
//! | effect | may be done elsewhere, later | and comes back as |
//! |---|---|---|
//! | `Send` | the transport | (`unreachable`) |
//! | `WriteLog` | the log writer, in order | `log_written` |
//! | `WriteKv` | the kv writer, one at a time | `kv_written` |
//! | `Answer`, `Met` | no: now, before what follows | |
//! | `Region` | the region worker, in order | `region_done` |
//! | `Stream` | the transport, on a connection of its own | `snapshot_sent` |
//!
//! What rests on work that is done elsewhere is no effect yet: the store holds it until the work comes back. So "a reader
//! finds what was answered before it came" is no matter of care in a driver.

use std::sync::Arc;

use proto::raft_serverpb::RaftMessage;
use standalone::engine::{Durability, Engine, WriteBatch};

use crate::callback::Callback;
use crate::log_store::LogBatch;
use crate::peer::Answer;
use crate::snapshot::{Install, SnapSource};
use crate::storage::RegionReader;
use crate::{Refusal, Result};

/// Something to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send this, if it can be sent; Raft survives what is lost.
    Send(Box<RaftMessage>),
    /// Commit this to the log, after all such before it; then say [`log_written`](super::Store::log_written).
    WriteLog(LogWrite),
    /// Commit this to the data; then say [`kv_written`](super::Store::kv_written). No other comes before that.
    WriteKv(KvWrite),
    /// Answer, now: [`answer`] does it.
    Answer(Answer),
    /// Tell whoever asked about a store's disk.
    Met(Callback<bool>, bool),
    /// Do this work off the loop, after all such before it; then say [`region_done`](super::Store::region_done).
    Region(Box<RegionJob>),
    /// Send a snapshot: its parts, then this message; then say [`snapshot_sent`](super::Store::snapshot_sent).
    Stream(Box<SnapStream>),
}

/// One commit of the log.
#[derive(Debug)]
pub struct LogWrite {
    /// Rises with each.
    pub id: u64,
    /// What to write.
    pub batch: LogBatch,
}

/// One commit of the data.
#[derive(Debug)]
pub struct KvWrite {
    /// What to write.
    pub batch: WriteBatch,
    /// Whether it must survive a crash by itself.
    pub durability: Durability,
}

impl KvWrite {
    /// Does it.
    ///
    /// # Errors
    /// The disk's. The store must stop then.
    pub fn run(&self, kv: &Engine) -> Result<()> {
        Ok(kv.write(&self.batch, self.durability)?)
    }
}

/// Work for the region worker.
#[derive(Debug)]
pub enum RegionJob {
    /// Build a snapshot.
    Build {
        /// Of this region.
        region: u64,
        /// In parts of about this size.
        part_bytes: usize,
    },
    /// Install a snapshot.
    Install(Install),
}

/// What became of a [`RegionJob`].
#[derive(Debug)]
pub enum JobDone {
    /// A snapshot was built, or could not be.
    Built(Result<Arc<SnapSource>>),
    /// A snapshot was installed.
    Installed(Result<()>),
}

impl RegionJob {
    /// Does the work.
    pub fn run(&self, kv: &Engine) -> JobDone {
        match self {
            RegionJob::Build { region, part_bytes } => {
                JobDone::Built(SnapSource::build(kv, *region, *part_bytes).map(Arc::new))
            }
            RegionJob::Install(install) => JobDone::Installed(install.run(kv)),
        }
    }
}

/// A snapshot on its way out.
#[derive(Debug, Clone)]
pub struct SnapStream {
    /// `MsgSnapshot` in its envelope: says where to, and what it is.
    pub message: RaftMessage,
    /// The parts.
    pub source: Arc<SnapSource>,
}

impl SnapStream {
    /// Where to.
    pub fn to_store(&self) -> u64 {
        self.message.to_peer.map_or(0, |peer| peer.store_id)
    }
}

/// Gives an answer. Readers look at the data as it is now: call it in the order of the effects.
///
/// # Errors
/// The disk's. Those who asked learn that nobody knows.
pub fn answer(answer: Answer, kv: &Engine) -> Result<()> {
    match answer {
        Answer::Write(callback, answer) => callback.complete(answer),
        Answer::NoRead(callback, refusal) => callback.complete(Err(refusal)),
        Answer::Grant(callbacks, grant) => {
            // One view for all of them: none began after it.
            let view = Arc::new(kv.snapshot()?);
            for callback in callbacks {
                let reader = RegionReader::new(view.clone(), grant.region.clone(), grant.term);
                callback.complete(Ok::<_, Refusal>(reader));
            }
        }
    }
    Ok(())
}
