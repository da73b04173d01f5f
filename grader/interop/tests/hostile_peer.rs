//! A hostile peer: whatever bytes a member's connection brings, a store does not panic, does not stop, and keeps what it
//! has applied.
//!
//! Raft trusts its members: one that lies about its log can make a follower believe it, and no check can help. So what is
//! asked here is what can be asked: three stores in memory talk to each other; each message, and each part of a
//! snapshot, is also sent with fields changed and with bytes changed, to the store that it was meant for. Short here;
//! a million cases with
//!
//! ```text
//! HOSTILE_CASES=1000000 cargo test --release -p interop --test main -- hostile_peer --nocapture
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use prost::Message as _;
use proto::eraftpb::{ConfState, Entry, Message, Snapshot, SnapshotMetadata};
use proto::metapb::Peer;
use proto::raft_serverpb::RaftMessage;
use raftkv::callback::callback;
use raftkv::log_store::{LogStore, RedbLog};
use raftkv::store::{Config, Effect, Request, answer};
use raftkv::{Store, cmd};
use standalone::Modify;
use standalone::engine::{CF_DEFAULT, Engine, Options};
use tonic::codegen::Bytes;

use crate::hostile::Noise;

/// How many hostile messages a group lives through before the next one takes its place.
const LIFE: u64 = 400;

struct Member {
    store: Store,
    kv: Engine,
    log: Arc<dyn LogStore>,
}

enum Letter {
    Message(RaftMessage),
    Part(RaftMessage, Bytes),
}

struct Trio {
    members: Vec<Member>,
    letters: VecDeque<Letter>,
    now: u64,
}

impl Trio {
    fn new(seed: u64) -> Trio {
        let options = Options { cache_bytes: 1 << 20, ..Options::default() };
        let member = |id| {
            let kv = Engine::in_memory(&options).expect("memory");
            let logs = Options { cfs: vec![CF_DEFAULT], ..options.clone() };
            let log: Arc<dyn LogStore> =
                Arc::new(RedbLog::new(Engine::in_memory(&logs).expect("memory")));
            let mut config = Config::new(id, vec![1, 2, 3]);
            (config.new_disk, config.raft.seed, config.hold) = (id, seed + id, 0);
            (config.gc.entries, config.part_bytes) = (20, 64);
            let mut store = Store::open(kv.clone(), log.clone(), config, 0).expect("it opens");
            store.join();
            Member { store, kv, log }
        };
        let members = (1..=3).map(member).collect();
        let mut trio = Trio { members, letters: VecDeque::new(), now: 0 };
        trio.members[0].store.campaign().expect("it campaigns");
        trio
    }

    /// A store goes on until it has nothing to do.
    fn go_on(&mut self, at: usize) {
        let Member { store, kv, log } = &mut self.members[at];
        loop {
            let effects = store.poll().expect("a store must not stop because of what it hears");
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Send(message) => self.letters.push_back(Letter::Message(*message)),
                    Effect::WriteLog(write) => {
                        log.commit(&write.batch).expect("memory");
                        store.log_written(write.id).expect("memory");
                    }
                    Effect::WriteKv(write) => {
                        write.run(kv).expect("memory");
                        store.kv_written().expect("memory");
                    }
                    Effect::Answer(given) => answer(given, kv).expect("memory"),
                    Effect::Met(callback, welcome) => callback.complete(welcome),
                    Effect::Region(job) => store.region_done(job.run(kv)).expect("memory"),
                    Effect::Stream(stream) => {
                        let mut parts = stream.source.parts();
                        while let Some(part) = parts.next_part().expect("memory") {
                            let part = part.encode().into();
                            self.letters.push_back(Letter::Part(stream.message.clone(), part));
                        }
                    }
                }
            }
        }
    }

    fn deliver(&mut self, letter: Letter) {
        let of = |message: &RaftMessage| message.to_peer.map_or(0, |peer| peer.store_id);
        let to = match &letter {
            Letter::Message(message) | Letter::Part(message, _) => of(message),
        };
        // The edge finds no connection to anybody else.
        let Some(at) = (1..=3).position(|id| id == to) else { return };
        let store = &mut self.members[at].store;
        let before = store.peer().applied();
        let heard = match letter {
            Letter::Message(message) => store.message(message),
            Letter::Part(message, part) => store.snapshot_part(message, &part),
        };
        heard.expect("a store must not stop because of what it hears");
        self.go_on(at);
        assert!(self.members[at].store.peer().applied() >= before, "applied is never taken back");
    }

    fn tick(&mut self) {
        self.now += 50_000;
        for at in 0..3 {
            self.members[at].store.tick(self.now).expect("a tick stops nobody");
            self.go_on(at);
        }
    }

    fn write(&mut self, number: u64) {
        let key = format!("rk{}", number % 50).into_bytes();
        let batch = vec![Modify::Put { cf: CF_DEFAULT, key, value: number.to_be_bytes().to_vec() }];
        for at in 0..3 {
            let header =
                proto::raft_cmdpb::RaftRequestHeader { region_id: 1, ..Default::default() };
            let (callback, _) = callback();
            let request = Request::Write(cmd::write_request(header, batch.clone()), callback);
            let (store, now) = (&mut self.members[at].store, self.now);
            store.request(request, now, now + 1_000_000).expect("a request stops nobody");
            self.go_on(at);
        }
    }
}

/// A number that somebody might not have thought of.
pub fn number(noise: &mut Noise, was: u64) -> u64 {
    match noise.draw(9) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX - 1,
        3 => was.wrapping_add(1),
        4 => was.wrapping_sub(1),
        5 => was.wrapping_mul(2),
        6 => 1 << 63,
        7 => noise.draw(4) as u64,
        _ => was ^ (1 << noise.draw(64)),
    }
}

pub fn bytes(noise: &mut Noise) -> Bytes {
    let len = noise.draw(40);
    noise.bytes(len).into()
}

fn twist(noise: &mut Noise, envelope: &mut RaftMessage) {
    match noise.draw(8) {
        0 => envelope.region_id = number(noise, envelope.region_id),
        1 => envelope.region_epoch = None,
        2 => envelope.is_tombstone = !envelope.is_tombstone,
        3 => envelope.message = None,
        4 => (envelope.start_key, envelope.end_key) = (bytes(noise), bytes(noise)),
        5 => {
            let peer = envelope.from_peer.get_or_insert_default();
            peer.id = number(noise, peer.id);
        }
        6 => {
            let peer = envelope.to_peer.get_or_insert_default();
            *peer = Peer { id: number(noise, peer.id), ..*peer };
        }
        _ => envelope.from_peer = None,
    }
}

fn twist_message(noise: &mut Noise, message: &mut Message) {
    match noise.draw(15) {
        0 => message.msg_type = i32::try_from(noise.draw(24)).expect("small"),
        1 => message.from = number(noise, message.from),
        2 => message.to = number(noise, message.to),
        3 => message.term = number(noise, message.term),
        4 => message.log_term = number(noise, message.log_term),
        5 => message.index = number(noise, message.index),
        6 => message.commit = number(noise, message.commit),
        7 => message.reject = !message.reject,
        8 => message.reject_hint = number(noise, message.reject_hint),
        9 => message.request_snapshot = number(noise, message.request_snapshot),
        10 => message.context = bytes(noise),
        11 => message.msg_type = number(noise, 1).to_le_bytes()[0].into(),
        12 => {
            let (index, term) = (number(noise, message.index), number(noise, message.term));
            let data = bytes(noise);
            let entry = Entry { index, term, data, ..Default::default() };
            message.entries.push(entry);
        }
        13 => {
            if let Some(entry) = message.entries.first_mut() {
                match noise.draw(4) {
                    0 => entry.index = number(noise, entry.index),
                    1 => entry.term = number(noise, entry.term),
                    2 => entry.entry_type = i32::try_from(noise.draw(5)).expect("small"),
                    _ => entry.data = bytes(noise),
                }
            }
        }
        _ => {
            let snapshot = message.snapshot.get_or_insert_default();
            let Snapshot { data, metadata } = snapshot;
            match noise.draw(4) {
                0 => *data = bytes(noise),
                1 => *metadata = None,
                2 => {
                    let about: &mut SnapshotMetadata = metadata.get_or_insert_default();
                    about.index = number(noise, about.index);
                    about.term = number(noise, about.term);
                }
                _ => {
                    let about = metadata.get_or_insert_default();
                    let voters = vec![number(noise, 1), number(noise, 2)];
                    about.conf_state = Some(ConfState { voters, ..Default::default() });
                }
            }
        }
    }
}

/// The same message, with something wrong; `None` if its bytes say nothing any more, and the edge hangs up.
pub fn hostile(noise: &mut Noise, message: &RaftMessage) -> Option<RaftMessage> {
    let mut message = message.clone();
    for _ in 0..=noise.draw(2) {
        match noise.draw(6) {
            0 => twist(noise, &mut message),
            1 => {
                let mut bytes = message.encode_to_vec();
                let at = noise.draw(bytes.len().max(1));
                match bytes.get_mut(at) {
                    Some(byte) => *byte ^= 1 << noise.draw(8),
                    None => return None,
                }
                message = RaftMessage::decode(&bytes[..]).ok()?;
            }
            _ => twist_message(noise, message.message.get_or_insert_default()),
        }
    }
    Some(message)
}

/// How many cases to run.
pub fn wanted_cases() -> u64 {
    let wanted = std::env::var("HOSTILE_CASES").ok();
    wanted.map_or(4_000, |text| text.parse().expect("a number"))
}

#[test]
fn whatever_a_member_says_no_store_panics() {
    let wanted = wanted_cases();
    let (mut noise, mut cases, mut life) = (Noise(42), 0, 0);
    while cases < wanted {
        life += 1;
        let mut trio = Trio::new(life);
        trio.go_on(0);
        let (end, mut step) = (cases + LIFE, 0);
        // A group whose terms were driven to their end may be silent for good: another one takes its place.
        while cases < end && step < 10 * LIFE {
            step += 1;
            match trio.letters.pop_front() {
                Some(letter) => {
                    for _ in 0..=noise.draw(2) {
                        let bad = match &letter {
                            Letter::Message(message) => {
                                hostile(&mut noise, message).map(Letter::Message)
                            }
                            Letter::Part(message, part) => {
                                let mut part = part.to_vec();
                                let at = noise.draw(part.len());
                                part[at] ^= 1 << noise.draw(8);
                                hostile(&mut noise, message).map(|m| Letter::Part(m, part.into()))
                            }
                        };
                        cases += 1;
                        if let Some(bad) = bad {
                            trio.deliver(bad);
                        }
                    }
                    trio.deliver(letter);
                }
                None => trio.tick(),
            }
            if step % 8 == 0 {
                trio.write(step);
            }
            if step % 40 == 0 {
                trio.tick();
            }
        }
    }
    println!("{cases} hostile messages to {life} groups");
}
