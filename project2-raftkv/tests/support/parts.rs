//! The subject of the small tests: the parts of this crate, each asked directly.

use std::sync::Arc;

use prost::Message as _;
use proto::eraftpb;
use proto::raft_serverpb::{PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState};
use raftcore::Storage as _;
use raftkv::apply::{Apply, ApplyResult, ApplyTask, CompactLog, Compacted};
use raftkv::callback::{Waiter, callback};
use raftkv::log_store::{LogBatch, LogStore, RedbLog};
use raftkv::node::{Node, RaftNode as _};
use raftkv::peer::{GcLimits, Peer, Read, Round, Turned, Write};
use raftkv::peer_storage::{self, PeerStorage};
use raftkv::region::{data_spans, first_region};
use raftkv::snapshot::part::Part;
use raftkv::snapshot::{Install, SnapSource, resume};
use raftkv::storage::RegionReader;
use raftkv::store::answer;
use raftkv::{Error, Refusal, Result, cmd, keys};
use raftkv_suite::parts::protocol::{
    Dump, Effect, Entry, File, Input, Opened, Outcome, Parts, Round as Shown, State, Stop, Told,
};
use serde_bytes::ByteBuf;
use sim::disk::RecordingDisk;
use sim::seam::Subject;
use standalone::Modify;
use standalone::StorageReader as _;
use standalone::engine::{
    CF_DEFAULT, DATA_CFS, Direction, Durability, Engine, Options, WriteBatch,
};
use standalone::keys::raw_key;

use super::plain::{
    apply_state, entry, header, local_state, op, plain_op, plain_state, refused, shown_apply,
};

/// The region of all tests.
const REGION: u64 = 1;

/// What lies on the bench.
#[derive(Default)]
pub struct Bench {
    open: Option<Open>,
}

type Granted = std::result::Result<RegionReader, Refusal>;

enum Waits {
    Write(Waiter<raftkv::apply::Applied>),
    Read(Waiter<Granted>),
}

struct Open {
    kv: Engine,
    log: Arc<dyn LogStore>,
    disks: [(File, RecordingDisk); 2],
    storage: Option<PeerStorage>,
    apply: Option<Apply<CompactLog>>,
    peer: Option<Peer<Node>>,
    waiting: Vec<(u32, Waits)>,
    /// What was handed out for the log, and is not committed.
    pending: LogBatch,
    source: Option<SnapSource>,
}

impl Subject<Parts> for Bench {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effect = match (input, &mut self.open) {
            (Input::Open { kv, log }, _) => match Open::new(kv, log) {
                Ok(open) => {
                    self.open = Some(open);
                    Effect::Done(Ok(()))
                }
                Err(error) => Effect::Done(Err(error.to_string())),
            },
            (input, Some(open)) => open.handle(input),
            (_, None) => panic!("the judge asks for parts that it did not put there"),
        };
        let disks = self.open.iter().flat_map(|open| &open.disks);
        let ops = disks
            .flat_map(|(file, disk)| disk.take_ops().into_iter().map(|op| Effect::Disk(*file, op)));
        ops.chain([effect]).collect()
    }
}

fn done(result: Result<()>) -> Effect {
    Effect::Done(plain(result))
}

fn plain<T>(result: Result<T>) -> Result<T, Stop> {
    result.map_err(|error| error.to_string())
}

fn entries(found: Vec<eraftpb::Entry>) -> Vec<Entry> {
    found.into_iter().map(entry).collect()
}

impl Open {
    fn new(kv: Vec<u8>, log: Vec<u8>) -> Result<Open> {
        let disks = [(File::Kv, RecordingDisk::new(kv)), (File::Log, RecordingDisk::new(log))];
        let options = Options { cache_bytes: 4 << 20, verify: false, ..Options::default() };
        let kv = Engine::with_backend(disks[0].1.clone(), &options)?;
        let options = Options { cfs: vec![CF_DEFAULT], ..options };
        let log = Arc::new(RedbLog::new(Engine::with_backend(disks[1].1.clone(), &options)?));
        Ok(Open {
            kv,
            log,
            disks,
            storage: None,
            apply: None,
            peer: None,
            waiting: Vec::new(),
            pending: LogBatch::default(),
            source: None,
        })
    }

    fn peer(&mut self) -> &mut Peer<Node> {
        self.peer.as_mut().expect("the judge starts a peer first")
    }

    fn storage(&self) -> &PeerStorage {
        let of_peer = || self.peer.as_ref().map(|peer| peer.node().storage());
        self.storage.as_ref().or_else(of_peer).expect("the judge opens the storage first")
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(CF_DEFAULT, key, value);
        Ok(self.kv.write(&batch, Durability::Immediate)?)
    }

    fn handle(&mut self, input: Input) -> Effect {
        match input {
            Input::Open { .. } => unreachable!("handled above"),
            Input::Commit { ops, sync } => {
                let ops = ops.into_iter().map(op).collect();
                done(self.log.commit(&LogBatch { ops, sync }))
            }
            Input::ReadLog(region, low, high, max) => {
                Effect::Entries(plain(self.log.entries(region, low, high, max)).map(entries))
            }
            Input::ReadState => {
                let state = plain(self.log.state(REGION));
                Effect::State(state.map(|state| state.as_ref().map(plain_state)))
            }
            Input::Create(members) => done(self.create(members)),
            Input::PutApplyState(state) => {
                let state = apply_state(&state).encode_to_vec();
                done(self.put(keys::apply_state_key(REGION), state))
            }
            Input::PutCopy(state) => {
                let state = local_state(&state).encode_to_vec();
                done(self.put(keys::snapshot_raft_state_key(REGION), state))
            }
            Input::PutApplying => done(self.put_applying()),
            Input::OpenStorage => Effect::Opened(plain(self.open_storage())),
            Input::Append { entries, hard, commit } => done(self.append(entries, hard, commit)),
            Input::Entries(low, high, max) => {
                let found = self.storage().entries(low, high, max);
                Effect::Entries(found.map(entries).map_err(|error| error.to_string()))
            }
            Input::Term(index) => {
                Effect::Term(self.storage().term_of(index).map_err(|error| error.to_string()))
            }
            Input::StartPeer { me, max_uncommitted } => done(self.start(me, max_uncommitted)),
            Input::Campaign => done(self.peer().node_mut().campaign().map_err(Error::from)),
            Input::Tick(times, now) => {
                let mut round = Round::default();
                for _ in 0..times {
                    if let Err(error) = self.peer().tick(now, &mut round) {
                        return Effect::Done(Err(error.to_string()));
                    }
                }
                self.show(round, false)
            }
            Input::Step(bytes) => {
                let message = prost::Message::decode(&bytes[..]).expect("the suite's own bytes");
                done(self.peer().step(message))
            }
            Input::Propose { number, header: to, puts, deadline } => {
                let put = |(key, value): (Vec<u8>, ByteBuf)| Modify::Put {
                    cf: CF_DEFAULT,
                    key: raw_key(&key),
                    value: value.into_vec(),
                };
                let request = cmd::write_request(header(&to), puts.into_iter().map(put).collect());
                let (callback, waiter) = callback();
                let taken = self.peer().propose(Write { request, callback, deadline });
                self.taken(number, taken, Waits::Write(waiter))
            }
            Input::Read { number, header: to, deadline } => {
                let (callback, waiter) = callback();
                let read = Read { header: header(&to), callback, deadline };
                let taken = self.peer().read(read);
                self.taken(number, taken, Waits::Read(waiter))
            }
            Input::Ready => {
                let mut round = Round::default();
                match self.peer().handle_ready(&mut round) {
                    Ok(more) => self.show(round, more),
                    Err(error) => Effect::Done(Err(error.to_string())),
                }
            }
            Input::CommitRound => {
                let batch = std::mem::take(&mut self.pending);
                done(self.log.commit(&LogBatch { sync: true, ..batch }))
            }
            Input::Persisted(number) => {
                let mut round = Round::default();
                match self.peer().on_persisted(number, &mut round) {
                    Ok(()) => self.show(round, false),
                    Err(error) => Effect::Done(Err(error.to_string())),
                }
            }
            Input::Apply(entries) => Effect::Outcome(plain(self.apply(entries))),
            Input::Applied(entries) => self.applied(&entries),
            Input::Get(key) => {
                let found =
                    self.kv.snapshot().and_then(|view| view.get(CF_DEFAULT, &raw_key(&key)));
                Effect::Value(found.expect("the simulated disk works").map(ByteBuf::from))
            }
            Input::Compacted(index, term) => {
                self.peer().on_compacted(RaftTruncatedState { index, term });
                done(Ok(()))
            }
            Input::LogGc { entries, bytes, durable } => {
                let cut = self.peer().log_gc(GcLimits { entries, bytes }, durable);
                let encoded = |bytes: Vec<u8>| ByteBuf::from(bytes);
                Effect::Cut(cut.map(|(header, admin)| {
                    (encoded(header.encode_to_vec()), encoded(admin.encode_to_vec()))
                }))
            }
            Input::Build(part_bytes) => {
                let built = SnapSource::build(&self.kv, REGION, part_bytes).map(|source| {
                    let label = source.snapshot().encode_to_vec().into();
                    self.source = Some(source);
                    label
                });
                Effect::Built(plain(built))
            }
            Input::BuiltParts => Effect::Parts(plain(self.parts())),
            Input::Stage(parts) => done(self.stage(parts)),
            Input::Install { label, state, at_once, bytes } => {
                let snapshot = eraftpb::Snapshot::decode(&label[..]).expect("the suite's bytes");
                let raft_state = local_state(&state);
                let install = Install { region_id: REGION, snapshot, raft_state, at_once, bytes };
                done(install.run(&self.kv))
            }
            Input::Resume => done(resume(&self.kv, REGION)),
            Input::Dump => Effect::Dump(self.dump().expect("the simulated disk works")),
        }
    }

    fn create(&self, members: Vec<u64>) -> Result<()> {
        let mut batch = WriteBatch::new();
        peer_storage::create(&*self.log, &first_region(members), &mut batch)?;
        Ok(self.kv.write(&batch, Durability::Immediate)?)
    }

    fn put_applying(&self) -> Result<()> {
        let local = peer_storage::load_region(&self.kv.snapshot()?, REGION)?;
        let region = local.and_then(|local| local.region).unwrap_or_default();
        let mut note = WriteBatch::new();
        peer_storage::put_region(&mut note, &region, PeerState::Applying);
        Ok(self.kv.write(&note, Durability::Immediate)?)
    }

    fn open_storage(&mut self) -> Result<Opened> {
        let view = self.kv.snapshot()?;
        let local = peer_storage::load_region(&view, REGION)?.unwrap_or_default();
        let region = local.region.unwrap_or_default();
        let found = peer_storage::open(&view, self.log.clone(), region.clone())?;
        let storage = found.storage;
        let failed = |error: raftcore::StorageError| Error::Corrupt(error.to_string());
        let hard = storage.initial_state().map_err(failed)?.hard_state;
        let (first, last) =
            (storage.first_index().map_err(failed)?, storage.last_index().map_err(failed)?);
        let state = State { term: hard.term, vote: hard.vote, commit: hard.commit, last };
        let opened = Opened { state, first, last, apply: shown_apply(&found.apply_state) };
        self.apply = Some(Apply::new(region, found.apply_state, CompactLog));
        self.storage = Some(storage);
        Ok(opened)
    }

    fn append(
        &mut self,
        entries: Vec<Entry>,
        hard: Option<(u64, u64, u64)>,
        commit: bool,
    ) -> Result<()> {
        let entries: Vec<eraftpb::Entry> =
            entries.into_iter().map(super::plain::log_entry).collect();
        let hard = hard.map(|(term, vote, commit)| eraftpb::HardState { term, vote, commit });
        let storage = self.storage.as_mut().expect("the judge opens the storage first");
        storage.append(&mut self.pending, &entries, hard.as_ref());
        if commit {
            let batch = std::mem::take(&mut self.pending);
            self.log.commit(&LogBatch { sync: true, ..batch })?;
        }
        Ok(())
    }

    fn start(&mut self, me: u64, max_uncommitted: u64) -> Result<()> {
        let storage = self.storage.take().expect("the judge opens the storage first");
        let applied = self.apply.as_ref().map_or(0, |apply| apply.state().applied_index);
        let config = raftcore::Config {
            applied,
            max_uncommitted_size: max_uncommitted,
            ..raftcore::Config::new(me)
        };
        let node = Node::new(config, storage)?;
        let own = node.storage().region().peers.iter().find(|peer| peer.id == me).copied();
        self.peer = Some(Peer::new(node, own.unwrap_or_default(), applied, 3));
        Ok(())
    }

    fn taken<R>(
        &mut self,
        number: u32,
        taken: std::result::Result<(), Box<Turned<R>>>,
        waits: Waits,
    ) -> Effect {
        if taken.is_ok() {
            self.waiting.push((number, waits));
        }
        Effect::Taken(taken.map_err(|turned| refused(&turned.why)))
    }

    /// A round as plain values; its answers are given.
    fn show(&mut self, round: Round, more: bool) -> Effect {
        let ops = round.log.ops.iter().map(plain_op).collect();
        let sync = round.log.sync;
        self.pending.merge(round.log);
        for given in round.answers {
            answer(given, &self.kv).expect("the simulated disk works");
        }
        let told = self.take_told();
        let peer = self.peer();
        let status = peer.status();
        let tasks = round.apply.into_iter().flat_map(|task| task.entries);
        Effect::Round(Box::new(Shown {
            more,
            sent: round.messages.iter().map(|message| message.encode_to_vec().into()).collect(),
            ops,
            sync,
            ready: round.ready,
            apply: tasks.map(entry).collect(),
            told,
            leads: status.is_leader(),
            term: status.term,
            last: status.last_index,
            commit: status.committed,
            persisted: peer.persisted(),
            applied: peer.applied(),
        }))
    }

    fn take_told(&mut self) -> Vec<(u32, Told)> {
        let mut told = Vec::new();
        self.waiting.retain_mut(|(number, waits)| {
            let answer = match waits {
                Waits::Write(waiter) => waiter.try_take().map(|answer| match answer {
                    Some(Ok(_)) => Told::Written,
                    Some(Err(why)) => Told::Refused(refused(&why)),
                    None => Told::Abandoned,
                }),
                Waits::Read(waiter) => waiter.try_take().map(|answer| match answer {
                    Some(Ok(reader)) => Told::Granted(reader.region().id, reader.term()),
                    Some(Err(why)) => Told::Refused(refused(&why)),
                    None => Told::Abandoned,
                }),
            };
            let waits_on = answer.is_none();
            told.extend(answer.map(|answer| (*number, answer)));
            waits_on
        });
        told
    }

    fn apply(&mut self, entries: Vec<Entry>) -> Result<Outcome> {
        let apply = self.apply.as_mut().expect("the judge opens the storage first");
        let entries = entries.into_iter().map(super::plain::log_entry).collect();
        let mut batch = WriteBatch::new();
        let result = apply.apply(ApplyTask { region: REGION, entries }, &mut batch)?;
        self.kv.write(&batch, Durability::Immediate)?;
        let fate = |(index, term, answer): (u64, u64, raftkv::apply::Applied)| {
            (index, term, answer.err().as_ref().map(refused))
        };
        Ok(Outcome {
            applied: result.applied_index,
            entries: result.entries.into_iter().map(fate).collect(),
            cuts: result.outcomes.iter().map(|Compacted(at)| (at.index, at.term)).collect(),
        })
    }

    fn applied(&mut self, entries: &[(u64, u64)]) -> Effect {
        let response = || Box::new(proto::raft_cmdpb::RaftCmdResponse::default());
        let result: ApplyResult<Compacted> = ApplyResult {
            region: REGION,
            applied_index: entries.last().map_or(0, |(index, _)| *index),
            entries: entries.iter().map(|&(index, term)| (index, term, Ok(response()))).collect(),
            outcomes: Vec::new(),
            written: 0,
        };
        let mut round = Round::default();
        self.peer().on_applied(result, &mut round);
        self.show(round, false)
    }

    fn parts(&self) -> Result<Vec<ByteBuf>> {
        let source = self.source.as_ref().expect("the judge builds a snapshot first");
        let (mut parts, mut found) = (source.parts(), Vec::new());
        while let Some(part) = parts.next_part()? {
            found.push(part.encode().into());
        }
        Ok(found)
    }

    fn stage(&self, parts: Vec<ByteBuf>) -> Result<()> {
        let mut batch = WriteBatch::new();
        for bytes in parts {
            let part = Part::decode(&bytes.into_vec().into()).expect("the suite's own bytes");
            let key = keys::snapshot_part_key(REGION, part.number.into());
            batch.put(CF_DEFAULT, key, part.body.to_vec());
        }
        Ok(self.kv.write(&batch, Durability::Immediate)?)
    }

    fn dump(&self) -> Result<Dump> {
        let view = self.kv.snapshot()?;
        let local = peer_storage::load_region(&view, REGION)?;
        let region = local.as_ref().and_then(|local| local.region.clone()).unwrap_or_default();
        let mut pairs = Vec::new();
        for (place, cf) in (0..).zip(DATA_CFS) {
            for span in data_spans(&region) {
                let mut cursor = view.cursor(cf, span, Direction::Forward)?;
                while cursor.advance()? {
                    let (key, value) = (cursor.key().to_vec(), cursor.value().to_vec());
                    pairs.push((place, key.into(), value.into()));
                }
            }
        }
        let damaged = |e: prost::DecodeError| Error::Corrupt(e.to_string());
        let apply = view.get(CF_DEFAULT, &keys::apply_state_key(REGION))?;
        let apply = apply.map(|bytes| RaftApplyState::decode(&bytes[..])).transpose();
        let copy = view.get(CF_DEFAULT, &keys::snapshot_raft_state_key(REGION))?;
        let copy = copy.map(|bytes| RaftLocalState::decode(&bytes[..])).transpose();
        let mut staged = 0;
        let mut cursor =
            view.cursor(CF_DEFAULT, keys::snapshot_parts(REGION), Direction::Forward)?;
        while cursor.advance()? {
            staged += 1;
        }
        Ok(Dump {
            pairs,
            peer: local.map(|local| format!("{:?}", local.state())).unwrap_or_default(),
            apply: apply.map_err(damaged)?.as_ref().map(shown_apply),
            copy: copy.map_err(damaged)?.as_ref().map(plain_state),
            staged,
        })
    }
}
