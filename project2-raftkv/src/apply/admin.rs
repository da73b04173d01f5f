//! Admin commands: the hook, and the one command of this project.

use proto::eraftpb::Entry;
use proto::metapb::Region;
use proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, AdminResponse, CompactLogRequest, CompactLogResponse,
};
use proto::raft_serverpb::{RaftApplyState, RaftTruncatedState};
use standalone::engine::WriteBatch;

use crate::error::Refusal;

/// What an admin command may look at and change.
pub struct AdminScope<'a> {
    /// The region.
    pub region: &'a mut Region,
    /// How far the data is: up to the entry before this one.
    pub state: &'a mut RaftApplyState,
    /// The entry that holds the command.
    pub entry: &'a Entry,
    /// Where its writes go: the same transaction as everything around it.
    pub batch: &'a mut WriteBatch,
}

/// Knows admin commands. Every method must answer alike on every replica.
pub trait AdminExec: Send {
    /// What a command means for the peer that has applied it.
    type Outcome: Send;

    /// May this be proposed by a peer that is in this state? A no costs nothing yet.
    ///
    /// # Errors
    /// What the proposer is told.
    fn check(&self, region: &Region, request: &AdminRequest) -> Result<(), Refusal>;

    /// Executes a committed command. The outcome is `None` if the command has come too late to change anything.
    ///
    /// # Errors
    /// What the proposer is told; the command then has no effect.
    fn execute(
        &mut self,
        scope: &mut AdminScope<'_>,
        request: &AdminRequest,
    ) -> Result<(AdminResponse, Option<Self::Outcome>), Refusal>;

    /// Executes a committed entry that changes the members. Nobody proposes one here.
    ///
    /// # Errors
    /// As [`AdminExec::execute`].
    fn conf_change(
        &mut self,
        scope: &mut AdminScope<'_>,
    ) -> Result<(AdminResponse, Option<Self::Outcome>), Refusal> {
        let index = scope.entry.index;
        Err(Refusal::Invalid(format!("entry {index} changes members, and ours never change")))
    }
}

/// The log starts behind this entry from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted(pub RaftTruncatedState);

/// The one admin command of this project: drop the log up to an entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompactLog;

impl CompactLog {
    /// The command.
    pub fn request(index: u64, term: u64) -> AdminRequest {
        AdminRequest {
            cmd_type: AdminCmdType::CompactLog.into(),
            compact_log: Some(CompactLogRequest { compact_index: index, compact_term: term }),
            ..Default::default()
        }
    }

    fn command(request: &AdminRequest) -> Result<CompactLogRequest, Refusal> {
        match (request.cmd_type(), request.compact_log) {
            (AdminCmdType::CompactLog, Some(compact)) if compact.compact_term > 0 => Ok(compact),
            (kind, _) => Err(Refusal::Invalid(format!("{kind:?} is no command of this store"))),
        }
    }
}

impl AdminExec for CompactLog {
    type Outcome = Compacted;

    fn check(&self, _: &Region, request: &AdminRequest) -> Result<(), Refusal> {
        Self::command(request).map(drop)
    }

    /// Moves the truncated state forward. The entries themselves go later, when this is durable (R4).
    ///
    /// You will need `Self::command`. May the log be cut behind this very entry, or behind one that is not applied? What
    /// if it was cut further already, by a command that overtook this one?
    fn execute(
        &mut self,
        scope: &mut AdminScope<'_>,
        request: &AdminRequest,
    ) -> Result<(AdminResponse, Option<Compacted>), Refusal> {
        // BEGIN SOLUTION 2CB.compact_log
        let compact = Self::command(request)?;
        let response = AdminResponse {
            cmd_type: AdminCmdType::CompactLog.into(),
            compact_log: Some(CompactLogResponse {}),
            ..Default::default()
        };
        if compact.compact_index > scope.state.applied_index {
            let (index, applied) = (compact.compact_index, scope.state.applied_index);
            return Err(Refusal::Invalid(format!(
                "the log cannot be cut behind entry {index}: only {applied} is applied"
            )));
        }
        let before = scope.state.truncated_state.unwrap_or_default();
        if compact.compact_index <= before.index {
            return Ok((response, None));
        }
        let truncated =
            RaftTruncatedState { index: compact.compact_index, term: compact.compact_term };
        scope.state.truncated_state = Some(truncated);
        Ok((response, Some(Compacted(truncated))))
        // END SOLUTION
    }
}
