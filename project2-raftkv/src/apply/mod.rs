//! Apply: committed entries become data.
//!
//! All replicas apply the same entries in the same order, and must come to the same data. So nothing here may depend on
//! anything but the entry and what earlier entries left: no clock, no configuration, no mood of the disk. An entry
//! that cannot be applied (an unknown column family, bytes that do not decode, an epoch that is over) is refused, and
//! refused alike everywhere; its place in the log still counts as applied.
//!
//! [`Apply`] writes into a batch that it is given and owns nothing but the region's apply state. That state goes into
//! the *same* batch as the data: after a crash the two agree, whatever the engine fell back to. (In two batches, an
//! entry would be applied twice or never, depending on which of them comes first.)
//!
//! An admin command changes the region instead of its data. Which ones there are is the business of an [`AdminExec`]:
//! it is asked when a command is proposed, and again, for its effect, when it is applied. What a command means for the
//! peer comes out as a typed result. Ours is [`CompactLog`]; project 3 wraps it and adds its own.
//!
//! # Invariants
//!
//! - Entries come without a gap: each is one behind the last that was applied.
//! - `truncated.index <= applied_index`
//! - `commit_index == applied_index` after each task: what is applied is what is worth knowing to be committed, and its
//!   term is what a snapshot's label needs. (TiKV may note a later commit index. Ours is learnt again from the
//!   leader.)

mod admin;

use prost::Message as _;
use proto::eraftpb::{Entry, EntryType};
use proto::metapb::Region;
use proto::raft_cmdpb::{
    AdminResponse, CmdType, RaftCmdRequest, RaftCmdResponse, RaftResponseHeader, Response,
};
use proto::raft_serverpb::RaftApplyState;
use standalone::Modify;
use standalone::engine::{CF_DEFAULT, WriteBatch};

pub use admin::{AdminExec, AdminScope, CompactLog, Compacted};

use crate::error::{Error, Refusal};
use crate::{Result, cmd, keys, region};

/// Committed entries of one peer, to be applied in order.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyTask {
    /// The region.
    pub region: u64,
    /// The entries. Each is durable in this store's log (R1).
    pub entries: Vec<Entry>,
}

/// What an entry's proposer is told.
pub type Applied = Result<Box<RaftCmdResponse>, Refusal>;

/// What became of a task.
#[derive(Debug)]
pub struct ApplyResult<O> {
    /// The region.
    pub region: u64,
    /// Everything up to here is applied, once the batch is committed.
    pub applied_index: u64,
    /// Index and term of each entry, and what its proposer is told.
    pub entries: Vec<(u64, u64, Applied)>,
    /// What admin commands mean for the peer, in their order.
    pub outcomes: Vec<O>,
    /// Bytes of keys and values written: a measure of how the region grows.
    pub written: u64,
}

/// Applies the entries of one region.
pub struct Apply<A: AdminExec> {
    region: Region,
    state: RaftApplyState,
    admin: A,
}

impl<A: AdminExec> Apply<A> {
    /// Goes on from this state.
    pub fn new(region: Region, state: RaftApplyState, admin: A) -> Self {
        Apply { region, state, admin }
    }

    /// The region as the last applied entry left it.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// How far the data is, once all batches are committed.
    pub fn state(&self) -> &RaftApplyState {
        &self.state
    }

    /// What is asked about admin commands before they are proposed.
    pub fn admin(&self) -> &A {
        &self.admin
    }

    /// A snapshot was installed: go on from there.
    pub fn reset(&mut self, region: Region, state: RaftApplyState) {
        (self.region, self.state) = (region, state);
    }

    /// Writes the apply state as it is: for a flush that needs something to commit durably.
    pub fn save(&self, batch: &mut WriteBatch) {
        let key = keys::apply_state_key(self.region.id);
        batch.put(CF_DEFAULT, key, self.state.encode_to_vec());
    }

    /// Applies a task into `batch`.
    ///
    /// You will need `apply_entry` for each entry, and [`Apply::save`]. Where must the apply state go, and what does
    /// it say when the task is done? An entry without data is the mark of a new leader: nobody waits for it, and it
    /// has no command, but it has its place in the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a gap between entries: this store has lost something, and must not go on.
    pub fn apply(
        &mut self,
        task: ApplyTask,
        batch: &mut WriteBatch,
    ) -> Result<ApplyResult<A::Outcome>> {
        // BEGIN SOLUTION 2B.apply
        let (mut entries, mut outcomes, mut written) = (Vec::new(), Vec::new(), 0);
        for entry in task.entries {
            if entry.index != self.state.applied_index + 1 {
                let (here, next) = (self.state.applied_index, entry.index);
                return Err(Error::Corrupt(format!("entry {next} came after entry {here}")));
            }
            let answer = self.apply_entry(&entry, batch, &mut outcomes, &mut written);
            self.state.applied_index = entry.index;
            self.state.commit_index = entry.index;
            self.state.commit_term = entry.term;
            entries.push((entry.index, entry.term, answer));
        }
        // In the same batch as the data: they are durable together, or not at all.
        self.save(batch);
        let applied_index = self.state.applied_index;
        Ok(ApplyResult { region: task.region, applied_index, entries, outcomes, written })
        // END SOLUTION
    }

    /// Applies one entry, as a whole or not at all.
    fn apply_entry(
        &mut self,
        entry: &Entry,
        batch: &mut WriteBatch,
        outcomes: &mut Vec<A::Outcome>,
        written: &mut u64,
    ) -> Applied {
        if entry.entry_type() != EntryType::EntryNormal {
            let mut scope =
                AdminScope { region: &mut self.region, state: &mut self.state, entry, batch };
            let (response, outcome) = self.admin.conf_change(&mut scope)?;
            outcomes.extend(outcome);
            return Ok(respond(entry, Vec::new(), Some(response)));
        }
        if entry.data.is_empty() {
            return Ok(respond(entry, Vec::new(), None));
        }
        let request = RaftCmdRequest::decode(entry.data.clone())
            .map_err(|error| Refusal::Invalid(format!("the entry is no command: {error}")))?;
        let header = request.header.unwrap_or_default();
        // Once more, after the check at the proposal: an entry before this one may have changed the region.
        region::check_epoch(&self.region, header.region_epoch.as_ref())?;
        if let Some(admin) = &request.admin_request {
            let mut scope =
                AdminScope { region: &mut self.region, state: &mut self.state, entry, batch };
            let (response, outcome) = self.admin.execute(&mut scope, admin)?;
            outcomes.extend(outcome);
            return Ok(respond(entry, Vec::new(), Some(response)));
        }
        // All commands are understood before the first is written.
        for modify in cmd::batch(&request.requests)? {
            *written += write(batch, modify);
        }
        let kinds = request.requests.iter().map(proto::raft_cmdpb::Request::cmd_type).collect();
        Ok(respond(entry, kinds, None))
    }
}

fn write(batch: &mut WriteBatch, modify: Modify) -> u64 {
    match modify {
        Modify::Put { cf, key, value } => {
            let bytes = (key.len() + value.len()) as u64;
            batch.put(cf, key, value);
            bytes
        }
        Modify::Delete { cf, key } => {
            let bytes = key.len() as u64;
            batch.delete(cf, key);
            bytes
        }
        Modify::DeleteRange { cf, range } => {
            batch.delete_range(cf, range);
            0
        }
    }
}

fn respond(
    entry: &Entry,
    kinds: Vec<CmdType>,
    admin: Option<AdminResponse>,
) -> Box<RaftCmdResponse> {
    let response = |kind: CmdType| Response { cmd_type: kind.into(), ..Default::default() };
    Box::new(RaftCmdResponse {
        header: Some(RaftResponseHeader { error: None, current_term: entry.term }),
        responses: kinds.into_iter().map(response).collect(),
        admin_response: admin,
    })
}
