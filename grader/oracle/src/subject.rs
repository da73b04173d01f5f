//! The translation between the suite's vocabulary and raft-rs's `RawNode`.

use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, HardState, Message, Snapshot};
use raft::{Config, GetEntriesContext, RawNode, ReadOnlyOption, Ready, SnapshotStatus, StateRole};
use raft_suite::protocol::{self, Durable, Effect, Input, RaftNode, ReadyOut, Role, Status};
use serde_bytes::ByteBuf;
use sim::rng::Rng;
use sim::seam::Subject;

use crate::lies::{self, Lie};
use crate::peer;
use crate::storage::{Core, Store};

/// One life of one raft-rs node.
#[derive(Default)]
pub struct Oracle {
    living: Option<Living>,
    lie: Option<Lie>,
}

struct Living {
    raw: RawNode<Store>,
    store: Store,
    rng: Rng,
    // (term, role) when the election timeout was drawn.
    drawn: (u64, StateRole),
    election_tick: usize,
    lie: lies::Telling,
    // The Ready that was taken last, with its entries and its snapshot, until it is stored.
    taken: Option<(Ready, Vec<Entry>, Option<Snapshot>)>,
}

impl Oracle {
    /// A node that tells the lie which `ORACLE_LIE` names, if any.
    pub fn from_environment() -> Self {
        Oracle { living: None, lie: Lie::from_environment() }
    }
}

impl Subject<RaftNode> for Oracle {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effect = match (input, &mut self.living) {
            (Input::Start(config, durable), living) => match begin(&config, durable, self.lie) {
                Ok(node) => {
                    *living = Some(node);
                    Effect::Done(Ok(()))
                }
                Err(why) => Effect::Done(Err(why)),
            },
            (input, Some(node)) => node.handle(input),
            (_, None) => Effect::Done(Err("not started".into())),
        };
        vec![effect]
    }
}

fn decode<M: protobuf::Message>(bytes: &[u8]) -> Result<M, String> {
    M::parse_from_bytes(bytes).map_err(|e| e.to_string())
}

fn encode<M: protobuf::Message>(message: &M) -> ByteBuf {
    // Only a message with missing required fields fails, and eraftpb is proto3.
    ByteBuf::from(message.write_to_bytes().expect("proto3 messages always encode"))
}

fn begin(
    config: &protocol::Config,
    mut durable: Durable,
    lie: Option<Lie>,
) -> Result<Living, String> {
    let told = lie;
    let lie = lies::Telling::new(lie, config.id);
    lie.on_start(&mut durable);
    let mut core = Core {
        hard: decode::<HardState>(&durable.hard_state)?,
        conf: decode::<ConfState>(&durable.conf_state)?,
        truncated: durable.truncated,
        entries: durable.entries.iter().map(|bytes| decode(bytes)).collect::<Result<_, _>>()?,
        snapshot: None,
    };
    if core.truncated.0 > 0 {
        let data = durable.snapshot_data.into_vec();
        core.snapshot = Some(snapshot(core.truncated, &core.conf, data));
    }
    let store = Store::default();
    *store.0.borrow_mut() = core;
    let count = |ticks: u64| usize::try_from(ticks).map_err(|e| e.to_string());
    let raft_config = Config {
        id: config.id,
        election_tick: count(config.election_tick)?,
        heartbeat_tick: count(config.heartbeat_tick)?,
        applied: config.applied,
        max_size_per_msg: config.max_size_per_msg,
        max_inflight_msgs: config.max_inflight_msgs,
        max_uncommitted_size: config.max_uncommitted_size,
        pre_vote: config.pre_vote,
        check_quorum: config.check_quorum,
        read_only_option: if config.lease_read {
            ReadOnlyOption::LeaseBased
        } else {
            ReadOnlyOption::Safe
        },
        ..Config::default()
    };
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    let raw = RawNode::new(&raft_config, store.clone(), &logger).map_err(|e| e.to_string())?;
    let mut living = Living {
        drawn: (u64::MAX, StateRole::Follower),
        rng: Rng::fork(lies::seed(told, config.seed), "election timeouts"),
        election_tick: raft_config.election_tick,
        raw,
        store,
        lie,
        taken: None,
    };
    living.draw();
    Ok(living)
}

fn snapshot((index, term): (u64, u64), conf: &ConfState, data: Vec<u8>) -> Snapshot {
    let mut snapshot = Snapshot { data: data.into(), ..Snapshot::default() };
    let place = snapshot.mut_metadata();
    (place.index, place.term) = (index, term);
    place.set_conf_state(conf.clone());
    snapshot
}

fn done(result: raft::Result<()>) -> Effect {
    Effect::Done(result.map_err(|e| e.to_string()))
}

impl Living {
    fn handle(&mut self, mut input: Input) -> Effect {
        let status = self.status();
        self.lie.on_input(&mut input, &status);
        if self.lie.swallows(&input) {
            return Effect::Done(Ok(()));
        }
        let mut effect = self.ask(input);
        self.draw();
        self.lie.on_effect(&mut effect, &status);
        effect
    }

    // raft-rs draws a timeout whenever it changes its role or its term; we put a seeded one in its place.
    fn draw(&mut self) {
        let now = (self.raw.raft.term, self.raw.raft.state);
        if now != self.drawn {
            self.drawn = now;
            let timeout = self.election_tick + self.rng.below(self.election_tick);
            self.raw.raft.set_randomized_election_timeout(timeout);
        }
    }

    fn ask(&mut self, input: Input) -> Effect {
        // raft-rs lets nothing come between a Ready and its advancing: whoever drives it advances first.
        if !matches!(input, Input::Ready | Input::Advance | Input::Status | Input::Log(..)) {
            self.advance();
        }
        let raw = &mut self.raw;
        match input {
            Input::Start(..) => return Effect::Done(Err("already started".into())),
            Input::Tick => {
                raw.tick();
            }
            Input::Step(bytes) => {
                return match decode::<Message>(&bytes) {
                    Ok(message) => done(raw.step(message)),
                    Err(why) => Effect::Done(Err(why)),
                };
            }
            Input::Propose(data) => return done(raw.propose(Vec::new(), data.into_vec())),
            // raft-rs leaves it to the caller to ask whether there is a vote at all.
            Input::Campaign if !raw.raft.promotable() => {}
            Input::Campaign => return done(raw.campaign()),
            Input::ReadIndex(context) => raw.read_index(context.into_vec()),
            Input::TransferLeader(to) => {
                return Effect::Done(peer::transfer(raw, to).map_err(|why| why.to_string()));
            }
            Input::ProposeConfChange(change) => {
                let change = decode::<ConfChange>(&change);
                let done = change
                    .and_then(|change| peer::propose(raw, change).map_err(|why| why.to_string()));
                return Effect::Done(done);
            }
            Input::ProposeConfChangeV2(change) => {
                return Effect::Done(peer::propose_v2(raw, &change).map_err(|why| why.to_string()));
            }
            Input::ApplyConfChange(change) => {
                let change = decode::<ConfChange>(&change);
                let conf = change.map(|change| raw.apply_conf_change(&change));
                return self.applied(conf);
            }
            Input::ApplyConfChangeV2(change) => {
                let change = decode::<ConfChangeV2>(&change);
                let conf = change.map(|change| raw.apply_conf_change(&change));
                return self.applied(conf);
            }
            Input::Ready => return self.ready(),
            Input::Advance => self.advance(),
            Input::Persisted(number) => raw.on_persist_ready(number),
            Input::Applied(index) => peer::applied(raw, index),
            Input::Compact(index) => self.store.0.borrow_mut().compact(index),
            Input::MakeSnapshot(index, data) => {
                let mut core = self.store.0.borrow_mut();
                let term = match core.term(index) {
                    Ok(term) => term,
                    Err(e) => return Effect::Done(Err(e.to_string())),
                };
                let made = snapshot((index, term), &core.conf, data.into_vec());
                core.snapshot = Some(made);
            }
            Input::ReportSnapshot(to, arrived) => {
                let status = if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
                raw.report_snapshot(to, status);
            }
            Input::ReportUnreachable(to) => raw.report_unreachable(to),
            Input::Status => return Effect::Status(Box::new(self.status())),
            Input::Log(first, end) => return Effect::Log(self.log(first, end)),
        }
        Effect::Done(Ok(()))
    }

    fn applied(&mut self, conf: Result<raft::Result<ConfState>, String>) -> Effect {
        let conf = conf.and_then(|conf| conf.map_err(|e| e.to_string()));
        if let Ok(conf) = &conf {
            self.store.0.borrow_mut().conf = conf.clone();
        }
        Effect::Conf(conf.as_ref().map(encode).map_err(Clone::clone))
    }

    fn ready(&mut self) -> Effect {
        if !self.raw.has_ready() {
            return Effect::Idle;
        }
        let mut ready = self.raw.ready();
        let encode_all = |messages: Vec<Message>| messages.iter().map(encode).collect();
        let entries = ready.take_entries();
        let snapshot = Some(ready.snapshot().clone()).filter(|s| !s.is_empty());
        let out = ReadyOut {
            number: ready.number(),
            must_sync: ready.must_sync(),
            hard_state: ready.hs().map(encode),
            entries: entries.iter().map(encode).collect(),
            snapshot: snapshot.as_ref().map(encode),
            messages: encode_all(ready.take_messages()),
            persisted_messages: encode_all(ready.take_persisted_messages()),
            committed: ready.take_committed_entries().iter().map(encode::<Entry>).collect(),
            read_states: ready
                .take_read_states()
                .into_iter()
                .map(|read| (read.index, read.request_ctx.into()))
                .collect(),
        };
        self.taken = Some((ready, entries, snapshot));
        Effect::Ready(Box::new(out))
    }

    fn advance(&mut self) {
        // It was advanced before another input, or a lie has shown a Ready that never was.
        let Some((ready, entries, snapshot)) = self.taken.take() else { return };
        let mut core = self.store.0.borrow_mut();
        if let Some(snapshot) = &snapshot {
            core.install(snapshot);
        }
        core.append(&entries);
        if let Some(hard) = ready.hs() {
            core.hard = hard.clone();
        }
        drop(core);
        let number = ready.number();
        self.raw.advance_append_async(ready);
        if self.lie.persists_at_once() {
            self.raw.on_persist_ready(number);
        }
    }

    fn status(&self) -> Status {
        let raft = &self.raw.raft;
        let mut progress = Vec::new();
        if raft.state == StateRole::Leader {
            progress.extend(raft.prs().iter().map(|(id, p)| (*id, p.matched, p.next_idx)));
            progress.sort_unstable();
        }
        Status {
            role: match raft.state {
                StateRole::Follower => Role::Follower,
                StateRole::PreCandidate => Role::PreCandidate,
                StateRole::Candidate => Role::Candidate,
                StateRole::Leader => Role::Leader,
            },
            term: raft.term,
            vote: raft.vote,
            leader: raft.leader_id,
            committed: raft.raft_log.committed,
            applied: raft.raft_log.applied,
            last_index: raft.raft_log.last_index(),
            last_term: raft.raft_log.last_term(),
            progress,
        }
    }

    fn log(&self, first: u64, end: u64) -> Result<Vec<ByteBuf>, String> {
        let log = &self.raw.raft.raft_log;
        let end = end.min(log.last_index() + 1);
        if first >= end {
            return Ok(Vec::new());
        }
        log.slice(first, end, None, GetEntriesContext::empty(false))
            .map(|entries| entries.iter().map(encode).collect())
            .map_err(|e| e.to_string())
    }
}
