//! The subject: answers the suites' inputs with this crate, as the table in `raft_suite::protocol` says.

use bytes::Bytes;
use prost::Message as _;
use proto::eraftpb::{Entry, Message};
use raft_suite::protocol::{self, Durable, Effect, Input, Level, RaftNode, ReadyOut};
use raftcore::{Error, MemStorage, Raft, RaftState, RawNode, Ready, Role};
use serde_bytes::ByteBuf;
use sim::seam::Subject;

use super::by_hand::ByHand;

/// A node that was started, or will be by [`Input::Start`].
#[derive(Default)]
pub enum Node {
    #[default]
    Absent,
    /// Stages 2AA and 2AB: there is no `RawNode` yet.
    ByHand(Box<ByHand>),
    Whole(Box<Whole>),
}

/// A node, and the Ready that was taken last, until it is stored.
pub struct Whole {
    node: RawNode<MemStorage>,
    taken: Option<Ready>,
}

impl Subject<RaftNode> for Node {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effect = match (input, &mut *self) {
            (Input::Start(config, durable), _) => {
                let started = start(config, durable).map(|node| *self = node);
                Effect::Done(started.map_err(|error| error.to_string()))
            }
            (input, Node::ByHand(node)) => node.handle(input),
            (input, Node::Whole(whole)) => handle(whole, input),
            (_, Node::Absent) => panic!("the judge speaks to a node that it did not start"),
        };
        match self {
            Node::Absent => {}
            Node::ByHand(node) => node.check_invariants(),
            Node::Whole(whole) => whole.node.check_invariants(),
        }
        vec![effect]
    }
}

fn start(config: protocol::Config, durable: Durable) -> Result<Node, Error> {
    let level = config.level;
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
    Ok(match level {
        Level::Election | Level::Log => Node::ByHand(Box::new(ByHand::new(config, store, level)?)),
        Level::Node => {
            Node::Whole(Box::new(Whole { node: RawNode::new(config, store)?, taken: None }))
        }
    })
}

fn handle(Whole { node, taken }: &mut Whole, input: Input) -> Effect {
    let done = |result: Result<(), Error>| Effect::Done(result.map_err(|error| error.to_string()));
    match input {
        Input::Start(..) => unreachable!("handled above"),
        Input::Tick => done(node.tick()),
        Input::Step(bytes) => match Message::decode(Bytes::from(bytes.into_vec())) {
            Ok(message) => done(node.step(message)),
            Err(error) => Effect::Done(Err(error.to_string())),
        },
        Input::Propose(data) => done(node.propose(Bytes::new(), data.into_vec().into())),
        Input::Campaign => done(node.campaign()),
        Input::ReadIndex(context) => done(node.read_index(context.into_vec().into())),
        Input::TransferLeader(_)
        | Input::ProposeConfChange(_)
        | Input::ApplyConfChange(_)
        | Input::ProposeConfChangeV2(_)
        | Input::ApplyConfChangeV2(_) => {
            Effect::Done(Err("leaders hand over, and members change, in project 3".into()))
        }
        Input::Ready => {
            *taken =
                node.has_ready().then(|| node.ready().expect("a storage in memory does not fail"));
            taken.as_ref().map_or(Effect::Idle, show)
        }
        Input::Advance => {
            if let Some(ready) = taken.take() {
                store(node, ready);
            }
            done(Ok(()))
        }
        Input::Persisted(number) => done(node.on_persist_ready(number)),
        Input::Applied(index) => {
            node.advance_apply_to(index);
            done(Ok(()))
        }
        Input::Compact(index) => done(node.mut_store().compact(index).map_err(Error::from)),
        Input::MakeSnapshot(index, data) => {
            let data = Bytes::from(data.into_vec());
            done(node.mut_store().create_snapshot(index, data).map_err(Error::from))
        }
        Input::ReportSnapshot(id, arrived) => {
            node.report_snapshot(id, arrived);
            done(Ok(()))
        }
        Input::ReportUnreachable(id) => {
            node.report_unreachable(id);
            done(Ok(()))
        }
        Input::Status => status(node.raft()),
        Input::Log(low, high) => log(node.raft(), low, high),
    }
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
fn store(node: &mut RawNode<MemStorage>, mut ready: Ready) {
    let store = node.mut_store();
    if let Some(snapshot) = ready.snapshot.take() {
        store.apply_snapshot(snapshot);
    }
    let entries = std::mem::take(&mut ready.entries);
    store.append(entries).expect("the entries of a Ready follow the log");
    if let Some(hard_state) = ready.hard_state {
        store.set_hard_state(hard_state);
    }
    node.advance_append_async(ready);
}

/// What the node says of itself.
pub fn status(raft: &Raft<MemStorage>) -> Effect {
    let status = raft.status();
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

/// A piece of its log.
pub fn log(raft: &Raft<MemStorage>, low: u64, high: u64) -> Effect {
    if low >= high {
        return Effect::Log(Ok(Vec::new()));
    }
    Effect::Log(match raft.log.entries(low, u64::MAX) {
        Ok(Some(entries)) => {
            Ok(entries.iter().take_while(|entry: &&Entry| entry.index < high).map(encode).collect())
        }
        Ok(None) => Err(format!("entry {low} is compacted")),
        Err(error) => Err(error.to_string()),
    })
}

/// As bytes.
pub fn encode<M: prost::Message>(message: &M) -> ByteBuf {
    message.encode_to_vec().into()
}

fn decode<M: prost::Message + Default>(bytes: ByteBuf) -> M {
    M::decode(Bytes::from(bytes.into_vec())).expect("the judge sends well-formed state")
}
