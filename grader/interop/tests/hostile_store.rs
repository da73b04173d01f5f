//! A hostile store of a cluster of many regions: as in `hostile_peer`, with project 3's stores. Here a message can also give
//! birth to a peer, end one, wake a region, or claim a range; and the scheduler's orders are twisted, too. The little world
//! around the stores is written out here again: the two projects' stores are two types, with other effects.
//!
//! ```text
//! HOSTILE_CASES=1000000 cargo test -p interop --test main -- hostile_store --nocapture
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use multiraft::membership::Node;
use multiraft::raftstore::{Config, Effect, Store, ToScheduler};
use proto::eraftpb::{Message, MessageType};
use proto::metapb::{Peer, Region, RegionEpoch};
use proto::pdpb::{ChangePeer, RegionHeartbeatResponse, SplitId, SplitRegion, TransferLeader};
use proto::raft_cmdpb::RaftRequestHeader;
use proto::raft_serverpb::{ExtraMessage, RaftMessage};
use raftkv::callback::callback;
use raftkv::cmd;
use raftkv::log_store::{LogStore, RedbLog};
use raftkv::store::{Request, answer};
use standalone::Modify;
use standalone::engine::{CF_DEFAULT, Engine, Options};
use standalone::keys::TAIL_START;
use tonic::codegen::Bytes;

use crate::hostile::Noise;
use crate::hostile_peer::{bytes, hostile, number, wanted_cases};

/// How many hostile messages a cluster lives through before the next one takes its place.
const LIFE: u64 = 400;

const REGION: u64 = 1;

enum Letter {
    Message(RaftMessage),
    Part(RaftMessage, Bytes),
}

impl Letter {
    fn message(&self) -> &RaftMessage {
        match self {
            Letter::Message(message) | Letter::Part(message, _) => message,
        }
    }
}

struct Member {
    store: Store,
    kv: Engine,
    log: Arc<dyn LogStore>,
}

struct City {
    members: Vec<Member>,
    letters: VecDeque<Letter>,
    orders: Vec<(usize, RegionHeartbeatResponse)>,
    now: u64,
    ids: u64,
}

impl City {
    fn new(seed: u64) -> City {
        let options = Options { cache_bytes: 1 << 20, ..Options::default() };
        let peers = (1..=3).map(|store_id| Peer { id: 10 + store_id, store_id, ..Peer::default() });
        let region = Region {
            id: REGION,
            end_key: TAIL_START.to_vec().into(),
            region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
            peers: peers.collect(),
            ..Default::default()
        };
        let member = |id| {
            let kv = Engine::in_memory(&options).expect("memory");
            let logs = Options { cfs: vec![CF_DEFAULT], ..options.clone() };
            let log: Arc<dyn LogStore> =
                Arc::new(RedbLog::new(Engine::in_memory(&logs).expect("memory")));
            let mut config = Config::new(id, 1);
            config.first_regions = vec![region.clone()];
            (config.raft.seed, config.hold, config.part_bytes) = (seed + id, 0, 64);
            (config.gc.entries, config.heartbeat_ticks, config.stale_ticks) = (20, 20, 20);
            let store = Store::open(&kv, log.clone(), config, Node::new, 0).expect("it opens");
            Member { store, kv, log }
        };
        let members = (1..=3).map(member).collect();
        let mut city =
            City { members, letters: VecDeque::new(), orders: Vec::new(), now: 0, ids: 1_000 };
        city.members[0].store.campaign(REGION).expect("it campaigns");
        city
    }

    /// A store goes on until it has nothing to do.
    fn go_on(&mut self, at: usize) {
        let Member { store, kv, log } = &mut self.members[at];
        // Far more rounds than any message is worth: one that never ends is a finding.
        for _ in 0..10_000 {
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
                    Effect::Job(job) => store.job_done(job.run(kv)).expect("memory"),
                    Effect::Stream(stream) => {
                        let mut parts = stream.source.parts();
                        while let Some(part) = parts.next_part().expect("memory") {
                            let part = part.encode().into();
                            self.letters.push_back(Letter::Part(stream.message.clone(), part));
                        }
                        store.snapshot_sent(stream.message.region_id, stream.to_store(), true);
                    }
                    Effect::Scheduler(said) => match *said {
                        ToScheduler::AskSplit(ask) => {
                            let region = ask.region.unwrap_or_default();
                            let mut id = || {
                                self.ids += 1;
                                self.ids
                            };
                            let ids = (0..ask.split_count.min(4)).map(|_| SplitId {
                                new_region_id: id(),
                                new_peer_ids: region.peers.iter().map(|_| id()).collect(),
                            });
                            let ids = ids.collect();
                            store.split_ids(&region, ids);
                        }
                        ToScheduler::Region(beat) => {
                            let region = beat.region.unwrap_or_default();
                            let order = RegionHeartbeatResponse {
                                region_id: region.id,
                                region_epoch: region.region_epoch,
                                target_peer: beat.leader,
                                ..Default::default()
                            };
                            self.orders.push((at, order));
                        }
                        ToScheduler::ReportSplit(_) => {}
                    },
                }
            }
        }
        panic!("a store has work for ever");
    }

    fn deliver(&mut self, letter: Letter) {
        let to = letter.message().to_peer.map_or(0, |peer| peer.store_id);
        // The edge finds no connection to anybody else.
        let Some(at) = (1..=3).position(|id| id == to) else { return };
        let store = &mut self.members[at].store;
        let heard = match letter {
            Letter::Message(message) => store.message(message),
            Letter::Part(message, part) => store.snapshot_part(message, &part),
        };
        heard.expect("a store must not stop because of what it hears");
        self.go_on(at);
    }

    /// The scheduler orders something that nobody thought through.
    fn order(&mut self, noise: &mut Noise) {
        let Some((at, mut order)) = self.orders.pop() else { return };
        let peer = |noise: &mut Noise| Peer {
            id: number(noise, 11),
            store_id: number(noise, 2),
            role: i32::try_from(noise.draw(6)).expect("small"),
        };
        match noise.draw(4) {
            0 => {
                let change_type = i32::try_from(noise.draw(5)).expect("small");
                order.change_peer = Some(ChangePeer { peer: Some(peer(noise)), change_type });
            }
            1 => {
                let peer = Some(peer(noise));
                order.transfer_leader = Some(TransferLeader { peer, ..Default::default() });
            }
            2 => {
                let keys = (0..noise.draw(3)).map(|_| bytes(noise)).collect();
                let policy = i32::try_from(noise.draw(4)).expect("small");
                order.split_region = Some(SplitRegion { keys, policy });
            }
            _ => order.region_epoch = None,
        }
        self.members[at].store.operator(order);
        self.go_on(at);
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
            let header = RaftRequestHeader { region_id: REGION, ..Default::default() };
            let (callback, _) = callback();
            let request = Request::Write(cmd::write_request(header, batch.clone()), callback);
            let (store, now) = (&mut self.members[at].store, self.now);
            store.request(request, now, now + 1_000_000).expect("a request stops nobody");
            self.go_on(at);
        }
    }
}

/// Between stores there is also talk that is not Raft's.
fn aside(noise: &mut Noise, message: &mut RaftMessage) {
    if noise.draw(8) == 0 {
        let r#type = i32::try_from(noise.draw(12)).expect("small");
        message.extra_msg = Some(ExtraMessage { r#type, ..Default::default() });
    }
}

#[test]
fn whatever_a_store_says_no_store_panics() {
    let wanted = wanted_cases();
    let (mut noise, mut cases, mut life) = (Noise(43), 0, 0);
    while cases < wanted {
        life += 1;
        let mut city = City::new(life);
        city.go_on(0);
        let (end, mut step) = (cases + LIFE, 0);
        while cases < end && step < 10 * LIFE {
            step += 1;
            match city.letters.pop_front() {
                Some(letter) => {
                    for _ in 0..=noise.draw(2) {
                        cases += 1;
                        let Some(mut message) = hostile(&mut noise, letter.message()) else {
                            continue;
                        };
                        aside(&mut noise, &mut message);
                        city.deliver(match &letter {
                            Letter::Message(_) => Letter::Message(message),
                            Letter::Part(_, part) => {
                                let mut part = part.to_vec();
                                let at = noise.draw(part.len());
                                part[at] ^= 1 << noise.draw(8);
                                Letter::Part(message, part.into())
                            }
                        });
                    }
                    city.deliver(letter);
                }
                None => city.tick(),
            }
            if step % 8 == 0 {
                city.write(step);
            }
            if step % 20 == 0 {
                city.order(&mut noise);
            }
            if step % 40 == 0 {
                city.tick();
            }
        }
    }
    println!("{cases} hostile messages to {life} clusters");
}

/// A request to vote in a region that this store has never heard of, as it comes when a split is late here.
fn first_word(from: u64, region: u64) -> RaftMessage {
    let (candidate, voter) = (10 * region, 10 * region + 1);
    let message = Message {
        msg_type: MessageType::MsgRequestVote.into(),
        from: candidate,
        to: voter,
        term: 7,
        index: 9,
        log_term: 6,
        ..Default::default()
    };
    RaftMessage {
        region_id: region,
        from_peer: Some(Peer { id: candidate, store_id: from, ..Peer::default() }),
        to_peer: Some(Peer { id: voter, store_id: 1, ..Peer::default() }),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        message: Some(message),
        ..Default::default()
    }
}

/// Peers without data are born by whatever names a region that is not here. A store that invents regions must not fill
/// the memory with them, nor take the room of those that others really have.
#[test]
fn who_invents_regions_gets_a_quarter_of_the_room() {
    let mut city = City::new(1);
    city.go_on(0);
    let limit = Config::new(1, 1).max_blanks;
    let blanks = |city: &City| {
        let peers = city.members[0].store.peers();
        peers.filter(|(_, peer)| peer.region().peers.is_empty()).count()
    };
    let mut regions = 1_000..;
    let mut hear = |city: &mut City, from: u64, words: usize| {
        for region in regions.by_ref().take(words) {
            city.deliver(Letter::Message(first_word(from, region)));
            city.letters.clear();
        }
    };
    hear(&mut city, 2, limit);
    assert_eq!(blanks(&city), limit / 4, "one store says many first words");
    hear(&mut city, 3, 5);
    assert_eq!(blanks(&city), limit / 4 + 5, "another store says a few");
    for from in 4..10 {
        hear(&mut city, from, limit / 4);
    }
    assert_eq!(blanks(&city), limit, "many stores say many");
    // Who lives here goes on.
    city.write(1);
    city.tick();
}
