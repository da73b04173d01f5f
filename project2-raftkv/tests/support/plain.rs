//! The crate's values as the suite's, and back.

use prost::Message as _;
use proto::eraftpb::{self, HardState};
use proto::metapb::{Peer, RegionEpoch};
use proto::raft_cmdpb::RaftRequestHeader;
use proto::raft_serverpb::{RaftApplyState, RaftLocalState, RaftTruncatedState};
use raftkv::Refusal;
use raftkv::log_store::LogOp;
use raftkv_suite::parts::protocol::{ApplyState, Entry, Header, Op, Refused, State};

pub fn entry(entry: eraftpb::Entry) -> Entry {
    Entry { index: entry.index, term: entry.term, data: entry.data.to_vec() }
}

pub fn log_entry(entry: Entry) -> eraftpb::Entry {
    let Entry { index, term, data } = entry;
    eraftpb::Entry { index, term, data: data.into(), ..Default::default() }
}

pub fn local_state(state: &State) -> RaftLocalState {
    let hard = HardState { term: state.term, vote: state.vote, commit: state.commit };
    RaftLocalState { hard_state: Some(hard), last_index: state.last }
}

pub fn plain_state(state: &RaftLocalState) -> State {
    let hard = state.hard_state.unwrap_or_default();
    State { term: hard.term, vote: hard.vote, commit: hard.commit, last: state.last_index }
}

pub fn apply_state(state: &ApplyState) -> RaftApplyState {
    let (index, term) = state.truncated;
    RaftApplyState {
        applied_index: state.applied,
        truncated_state: Some(RaftTruncatedState { index, term }),
        commit_index: state.commit.0,
        commit_term: state.commit.1,
    }
}

pub fn shown_apply(state: &RaftApplyState) -> ApplyState {
    let truncated = state.truncated_state.unwrap_or_default();
    ApplyState {
        applied: state.applied_index,
        truncated: (truncated.index, truncated.term),
        commit: (state.commit_index, state.commit_term),
    }
}

pub fn op(op: Op) -> LogOp {
    match op {
        Op::Append(region, entries) => {
            LogOp::Append { region, entries: entries.into_iter().map(log_entry).collect() }
        }
        Op::State(region, state) => LogOp::State { region, state: local_state(&state) },
        Op::Compact(region, index) => LogOp::Compact { region, index },
        Op::Clear(region) => LogOp::Clear { region },
    }
}

pub fn plain_op(op: &LogOp) -> Op {
    match op {
        LogOp::Append { region, entries } => {
            Op::Append(*region, entries.iter().cloned().map(entry).collect())
        }
        LogOp::State { region, state } => Op::State(*region, plain_state(state)),
        LogOp::Compact { region, index } => Op::Compact(*region, *index),
        LogOp::Clear { region } => Op::Clear(*region),
    }
}

pub fn header(header: &Header) -> RaftRequestHeader {
    let peer = |(id, store_id)| Peer { id, store_id, ..Default::default() };
    let epoch = |(conf_ver, version)| RegionEpoch { conf_ver, version };
    RaftRequestHeader {
        region_id: header.region,
        peer: header.peer.map(peer),
        region_epoch: header.epoch.map(epoch),
        term: header.term,
        ..Default::default()
    }
}

pub fn refused(why: &Refusal) -> Refused {
    let region_error = match why {
        Refusal::Region(error) => Some(error.encode_to_vec().into()),
        _ => None,
    };
    Refused {
        definite: why.is_definite(),
        region_error,
        later: matches!(why, Refusal::Later(_)),
        text: why.to_string(),
    }
}
