//! The subject of stage 3A: answers the suite's inputs with a [`MemberNode`], as the table in `raft_suite::protocol`
//! says.

use std::fmt::Display;

use bytes::Bytes;
use multiraft::membership::MemberNode;
use prost::Message as _;
use proto::eraftpb::{ConfChange, ConfState, Message};
use raft_suite::protocol::{self, Durable, Effect, Input, RaftNode, ReadyOut};
use raftcore::{MemStorage, RaftState, Ready, Role};
use serde_bytes::ByteBuf;
use sim::seam::Subject;

/// A node that was started, or will be by [`Input::Start`].
#[derive(Default)]
pub struct Member {
    node: Option<MemberNode<MemStorage>>,
    /// The Ready that was taken last, until it is stored.
    taken: Option<Ready>,
}

impl Subject<RaftNode> for Member {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effect = match (input, &mut self.node) {
            (Input::Start(config, durable), node) => {
                let (config, store) = match opened(config, durable) {
                    Ok(opened) => opened,
                    Err(error) => return vec![Effect::Done(Err(error.to_string()))],
                };
                done(MemberNode::new(config, store).map(|started| *node = Some(started)))
            }
            (input, Some(node)) => handle(node, &mut self.taken, input),
            (_, None) => panic!("the judge speaks to a node that it did not start"),
        };
        if let Some(node) = &self.node {
            node.check_invariants();
        }
        vec![effect]
    }
}

/// What a node is made of.
pub fn opened(
    config: protocol::Config,
    durable: Durable,
) -> Result<(raftcore::Config, MemStorage), raftcore::Error> {
    let config = raftcore::Config {
        id: config.id,
        election_tick: config.election_tick,
        heartbeat_tick: config.heartbeat_tick,
        seed: config.seed,
        applied: config.applied,
        max_size_per_msg: config.max_size_per_msg,
        max_inflight_msgs: config.max_inflight_msgs,
        max_uncommitted_size: config.max_uncommitted_size,
        pre_vote: config.pre_vote,
        check_quorum: config.check_quorum,
        lease_read: config.lease_read,
        ..raftcore::Config::new(config.id)
    };
    let state = RaftState {
        hard_state: decode(durable.hard_state),
        conf_state: decode(durable.conf_state),
    };
    let entries = durable.entries.into_iter().map(decode).collect();
    let mut store = MemStorage::restored(state, durable.truncated, entries);
    if durable.truncated.0 > 0 {
        let data = Bytes::from(durable.snapshot_data.into_vec());
        store.create_snapshot(durable.truncated.0, data)?;
    }
    Ok((config, store))
}

/// What a node answers to everything but its start.
pub fn handle(
    node: &mut MemberNode<MemStorage>,
    taken: &mut Option<Ready>,
    input: Input,
) -> Effect {
    match input {
        Input::Start(..) => unreachable!("handled above"),
        Input::Tick => done(node.tick()),
        Input::Step(bytes) => match Message::decode(Bytes::from(bytes.into_vec())) {
            Ok(message) => done(node.step(message)),
            Err(error) => Effect::Done(Err(error.to_string())),
        },
        Input::Propose(data) => done(node.propose(Bytes::new(), data.into_vec().into())),
        Input::ProposeConfChange(change) => done(node.propose_conf_change(&decode(change))),
        Input::ApplyConfChange(change) => apply(node, &decode(change)),
        Input::ProposeConfChangeV2(_) | Input::ApplyConfChangeV2(_) => {
            Effect::Done(Err("several members change at once in stage 3X only".into()))
        }
        Input::TransferLeader(to) => done(node.transfer_leader(to)),
        Input::Campaign => done(node.campaign()),
        Input::ReadIndex(context) => done(node.mut_raw().read_index(context.into_vec().into())),
        Input::Ready => {
            let raw = node.mut_raw();
            *taken =
                raw.has_ready().then(|| raw.ready().expect("a storage in memory does not fail"));
            taken.as_ref().map_or(Effect::Idle, show)
        }
        Input::Advance => {
            if let Some(ready) = taken.take() {
                store(node, ready);
            }
            Effect::Done(Ok(()))
        }
        // It was stored when it was taken: what may come between is stage 2AC's.
        Input::Persisted(number) => done(node.mut_raw().on_persist_ready(number)),
        Input::Applied(index) => {
            node.mut_raw().advance_apply_to(index);
            Effect::Done(Ok(()))
        }
        Input::Compact(index) => done(node.mut_raw().mut_store().compact(index)),
        Input::MakeSnapshot(index, data) => {
            let data = Bytes::from(data.into_vec());
            done(node.mut_raw().mut_store().create_snapshot(index, data))
        }
        Input::ReportSnapshot(id, arrived) => {
            node.mut_raw().report_snapshot(id, arrived);
            Effect::Done(Ok(()))
        }
        Input::ReportUnreachable(id) => {
            node.mut_raw().report_unreachable(id);
            Effect::Done(Ok(()))
        }
        Input::Status => status(node),
        Input::Log(low, high) => log(node, low, high),
    }
}

pub fn done<E: Display>(result: Result<(), E>) -> Effect {
    Effect::Done(result.map_err(|error| error.to_string()))
}

fn apply(node: &mut MemberNode<MemStorage>, change: &ConfChange) -> Effect {
    let applied = node.apply_conf_change(change);
    keep(node, &applied)
}

/// The storage tells the members from now on, if a change was made.
pub fn keep(
    node: &mut MemberNode<MemStorage>,
    applied: &multiraft::membership::Result<ConfState>,
) -> Effect {
    if let Ok(conf) = applied {
        node.mut_raw().mut_store().set_conf_state(conf.clone());
    }
    Effect::Conf(applied.as_ref().map(encode).map_err(ToString::to_string))
}

fn show(ready: &Ready) -> Effect {
    Effect::Ready(Box::new(ReadyOut {
        number: ready.number,
        must_sync: ready.must_sync,
        hard_state: ready.hard_state.as_ref().map(encode),
        entries: ready.entries.iter().map(encode).collect(),
        snapshot: ready.snapshot.as_ref().map(encode),
        messages: ready.messages.iter().map(encode).collect(),
        persisted_messages: ready.persisted_messages.iter().map(encode).collect(),
        committed: ready.committed_entries.iter().map(encode).collect(),
        read_states: ready
            .read_states
            .iter()
            .map(|state| (state.index, state.request_ctx.to_vec().into()))
            .collect(),
    }))
}

/// The storage holds what the node was told is being written; what of it survives is the suite's to know.
fn store(node: &mut MemberNode<MemStorage>, mut ready: Ready) {
    let store = node.mut_raw().mut_store();
    if let Some(snapshot) = ready.snapshot.take() {
        store.apply_snapshot(snapshot);
    }
    let entries = std::mem::take(&mut ready.entries);
    store.append(entries).expect("the entries of a Ready follow the log");
    if let Some(hard_state) = ready.hard_state {
        store.set_hard_state(hard_state);
    }
    node.mut_raw().advance_append_async(ready);
}

fn status(node: &MemberNode<MemStorage>) -> Effect {
    let status = node.raft().status();
    let progress = status.progress.into_iter().flatten();
    Effect::Status(Box::new(protocol::Status {
        role: match status.soft_state.role {
            Role::Follower => protocol::Role::Follower,
            Role::PreCandidate => protocol::Role::PreCandidate,
            Role::Candidate => protocol::Role::Candidate,
            Role::Leader => protocol::Role::Leader,
        },
        term: status.hard_state.term,
        vote: status.hard_state.vote,
        leader: status.soft_state.leader_id,
        committed: status.hard_state.commit,
        applied: status.applied,
        last_index: status.last_index,
        last_term: status.last_term,
        progress: progress.map(|(&id, p)| (id, p.match_index, p.next_index)).collect(),
    }))
}

fn log(node: &MemberNode<MemStorage>, low: u64, high: u64) -> Effect {
    if low >= high {
        return Effect::Log(Ok(Vec::new()));
    }
    Effect::Log(match node.raft().log.entries(low, u64::MAX) {
        Ok(Some(entries)) => {
            Ok(entries.iter().take_while(|entry| entry.index < high).map(encode).collect())
        }
        Ok(None) => Err(format!("entry {low} is compacted")),
        Err(error) => Err(error.to_string()),
    })
}

fn encode<M: prost::Message>(message: &M) -> ByteBuf {
    message.encode_to_vec().into()
}

pub fn decode<M: prost::Message + Default>(bytes: ByteBuf) -> M {
    M::decode(Bytes::from(bytes.into_vec())).expect("the judge sends well-formed state")
}
