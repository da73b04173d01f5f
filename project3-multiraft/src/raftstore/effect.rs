//! What a store wants done, in the order in which it must be done. As in project 2 (`raftkv::store::Effect`): the list is
//! the rule; and what rests on work that is done elsewhere is no effect yet, the store holds it until the work comes back.

use std::sync::Arc;

use proto::metapb::Region;
use proto::pdpb;
use proto::raft_serverpb::RaftMessage;
use raftkv::Result;
use raftkv::peer::Answer;
use raftkv::snapshot::{Install, SnapSource};
use raftkv::store::{KvWrite, LogWrite, SnapStream};
use standalone::engine::Engine;

use super::{cleanup, split_check};

/// Something to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send this, if it can be sent; Raft survives what is lost.
    Send(Box<RaftMessage>),
    /// Commit this to the log, after all such before it; then say [`log_written`](super::MultiStore::log_written).
    WriteLog(LogWrite),
    /// Commit this to the data; then say [`kv_written`](super::MultiStore::kv_written). No other comes before that.
    WriteKv(KvWrite),
    /// Answer, now: `raftkv::store::answer` does it.
    Answer(Answer),
    /// Do this work off the loop, after all such before it; then say [`job_done`](super::MultiStore::job_done).
    Job(Box<Job>),
    /// Send a snapshot: its parts, then this message; then say [`snapshot_sent`](super::MultiStore::snapshot_sent).
    Stream(Box<SnapStream>),
    /// Tell the scheduler, or ask it.
    Scheduler(Box<ToScheduler>),
}

/// What a store says to the scheduler. Answers come back as inputs; one that never comes is asked for again.
#[derive(Debug, Clone, PartialEq)]
pub enum ToScheduler {
    /// A leader tells how its region is. [`operator`](super::MultiStore::operator) brings what is to be done about it.
    Region(pdpb::RegionHeartbeatRequest),
    /// Ids for a split. [`split_ids`](super::MultiStore::split_ids) brings them.
    AskSplit(pdpb::AskBatchSplitRequest),
    /// A split is done.
    ReportSplit(pdpb::ReportBatchSplitRequest),
}

/// Work for the region worker. It does one after the other, in the order in which it was called for, which is what keeps "delete
/// the old data" before "install the new" where one region leaves and it or another one comes.
#[derive(Debug)]
pub enum Job {
    /// Build a snapshot.
    Build {
        /// Of this region.
        region: u64,
        /// In parts of about this size.
        part_bytes: usize,
    },
    /// Install a snapshot.
    Install(Install),
    /// Remove a dead peer's data.
    Destroy(Region),
    /// Remove data that a region has left behind by becoming smaller.
    Sweep(Region),
    /// Measure a region, and look for a place to cut it.
    SplitCheck {
        /// The region, as it was when this was asked.
        region: Region,
        /// Cut it if it is at least so large.
        split_bytes: u64,
    },
}

/// What became of a [`Job`].
#[derive(Debug)]
pub enum JobDone {
    /// A snapshot of this region was built, or could not be.
    Built(u64, Result<Arc<SnapSource>>),
    /// A snapshot of this region was installed.
    Installed(u64, Result<()>),
    /// The dead peer's data is gone.
    Destroyed(u64, Result<()>),
    /// What was left behind is gone.
    Swept(Result<()>),
    /// The region's size, and where to cut it.
    Measured(Region, Result<split_check::Measured>),
}

impl Job {
    /// Does the work.
    pub fn run(&self, kv: &Engine) -> JobDone {
        match self {
            Job::Build { region, part_bytes } => {
                let source = SnapSource::build(kv, *region, *part_bytes);
                JobDone::Built(*region, source.map(Arc::new))
            }
            Job::Install(install) => JobDone::Installed(install.region_id, install.run(kv)),
            Job::Destroy(region) => JobDone::Destroyed(region.id, cleanup::destroy(kv, region)),
            Job::Sweep(region) => JobDone::Swept(cleanup::sweep(kv, region)),
            Job::SplitCheck { region, split_bytes } => {
                JobDone::Measured(region.clone(), split_check::measure(kv, region, *split_bytes))
            }
        }
    }
}
