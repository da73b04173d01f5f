//! What a test holds in its hands: a client, and everything that it has asked for.
//!
//! The desk answers questions for regions and timestamps by itself, unless it is told to keep them. Requests to stores are
//! taken ([`Desk::sent`]) and answered by the test.

use std::fmt::Display;

use prost::Message;
use proto::errorpb;
use proto::kvrpcpb::{
    BatchGetRequest, BatchRollbackRequest, CheckTxnStatusRequest, CommitRequest, Context, KeyError,
    LockInfo, PrewriteRequest, ResolveLockRequest,
};
use proto::metapb::{Peer, Region, RegionEpoch};
use serde_bytes::ByteBuf;
use sim::failure::{Failure, Outcome as Verdict};
use sim::harness::Run;
use sim::link::Link;

use super::protocol::{Coordinator, Effect, Input, Key, Outcome, Settings, What};
use crate::rows::text;

/// One run of a test.
pub type World<'a> = Run<'a, Coordinator>;

/// A request, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    BatchGet(BatchGetRequest),
    Prewrite(PrewriteRequest),
    Commit(CommitRequest),
    BatchRollback(BatchRollbackRequest),
    CheckTxnStatus(CheckTxnStatusRequest),
    ResolveLock(ResolveLockRequest),
}

/// A request that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: u64,
    pub store: u64,
    pub asked: Asked,
}

impl Sent {
    /// What it says about its region.
    pub fn context(&self) -> Context {
        let context = match &self.asked {
            Asked::BatchGet(r) => &r.context,
            Asked::Prewrite(r) => &r.context,
            Asked::Commit(r) => &r.context,
            Asked::BatchRollback(r) => &r.context,
            Asked::CheckTxnStatus(r) => &r.context,
            Asked::ResolveLock(r) => &r.context,
        };
        context.clone().unwrap_or_default()
    }

    /// Its keys, in order.
    pub fn keys(&self) -> Vec<Key> {
        let plain = |keys: &[prost::bytes::Bytes]| keys.iter().map(|key| key.to_vec()).collect();
        let mut keys: Vec<Key> = match &self.asked {
            Asked::BatchGet(r) => plain(&r.keys),
            Asked::Prewrite(r) => r.mutations.iter().map(|m| m.key.to_vec()).collect(),
            Asked::Commit(r) => plain(&r.keys),
            Asked::BatchRollback(r) => plain(&r.keys),
            Asked::CheckTxnStatus(r) => vec![r.primary_key.to_vec()],
            Asked::ResolveLock(_) => Vec::new(),
        };
        keys.sort();
        keys
    }

    fn method(&self) -> &'static str {
        match &self.asked {
            Asked::BatchGet(_) => "KvBatchGet",
            Asked::Prewrite(_) => "KvPrewrite",
            Asked::Commit(_) => "KvCommit",
            Asked::BatchRollback(_) => "KvBatchRollback",
            Asked::CheckTxnStatus(_) => "KvCheckTxnStatus",
            Asked::ResolveLock(_) => "KvResolveLock",
        }
    }

    /// For people: `KvPrewrite [a b] to store 1`.
    pub fn show(&self) -> String {
        let keys: Vec<String> = self.keys().iter().map(|key| text(key)).collect();
        format!("{} [{}] to store {}", self.method(), keys.join(" "), self.store)
    }
}

/// A failure: where the client goes wrong, what right would be, what it does.
pub fn wrong(when: impl Display, right: impl Display, is: impl Display) -> Failure {
    crate::world::wrong(format!("the client goes wrong at this point: {when}"), right, is)
}

/// Several, for people.
pub fn show(sent: &[Sent]) -> String {
    if sent.is_empty() {
        return "nothing".into();
    }
    sent.iter().map(Sent::show).collect::<Vec<_>>().join(", ")
}

/// A client under test.
pub struct Desk<'w, 'a> {
    run: &'w mut World<'a>,
    link: Box<dyn Link<Coordinator>>,
    now: u64,
    last_ts: u64,
    regions: Vec<(Region, Peer)>,
    sent: Vec<Sent>,
    done: Vec<Outcome>,
    wakes_at: Option<u64>,
    /// Questions for regions so far.
    pub region_asks: u32,
    /// Questions for timestamps that wait, if they are kept.
    pub kept: Vec<u64>,
    /// Whether questions for timestamps wait for the test.
    pub keeps_timestamps: bool,
}

/// As official clients, but for the number of tries.
pub const SETTINGS: Settings =
    Settings { lock_ttl: 3_000, one_pc: false, tries: 5, pauses: (2, 500) };

fn region(id: u64, start: &[u8], end: &[u8], store: u64) -> (Region, Peer) {
    let bound = |key: &[u8]| if key.is_empty() { Vec::new() } else { position(key) };
    let peers: Vec<Peer> =
        (1..=3).map(|s| Peer { id: id * 10 + s, store_id: s, ..Default::default() }).collect();
    let leader = peers[usize::try_from(store - 1).unwrap_or_default()];
    let region = Region {
        id,
        start_key: bound(start).into(),
        end_key: bound(end).into(),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: id }),
        peers,
    };
    (region, leader)
}

/// The memcomparable encoding, written a second time.
pub fn position(key: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for at in 0..=key.len() / 8 {
        let group = &key[at * 8..key.len().min((at + 1) * 8)];
        encoded.extend_from_slice(group);
        encoded.resize((at + 1) * 9 - 1, 0);
        encoded.push(0xff - u8::try_from(8 - group.len()).unwrap_or(0));
    }
    encoded
}

/// Milliseconds of the world's first moment: timestamps have them in their upper bits.
const FIRST_MS: u64 = 1_000;

impl<'w, 'a> Desk<'w, 'a> {
    /// A client of three regions: keys below `m` on store 1, below `t` on store 2, and the rest on store 3.
    pub fn new(run: &'w mut World<'a>, settings: Settings) -> Verdict<Self> {
        let link = run.start()?;
        let regions =
            vec![region(1, b"", b"m", 1), region(2, b"m", b"t", 2), region(3, b"t", b"", 3)];
        let mut desk = Desk {
            run,
            link,
            now: FIRST_MS,
            last_ts: 0,
            regions,
            sent: Vec::new(),
            done: Vec::new(),
            wakes_at: None,
            region_asks: 0,
            kept: Vec::new(),
            keeps_timestamps: false,
        };
        desk.say(What::Open(settings))?;
        Ok(desk)
    }

    /// The scheduler's map from now on: the region with the first region's keys is cut at a key, the left part is region
    /// 4, and store 3 leads it.
    pub fn split_first_region(&mut self, at: &[u8]) {
        let mut left = region(4, b"", at, 3);
        let mut right = region(1, at, b"m", 1);
        for (region, _) in [&mut left, &mut right] {
            region.region_epoch = Some(RegionEpoch { conf_ver: 1, version: 9 });
        }
        self.regions.retain(|(region, _)| region.id != 1);
        self.regions.extend([left, right]);
    }

    /// The scheduler's map from now on: this store leads the region.
    pub fn lead(&mut self, region: u64, store: u64) {
        for (known, leader) in self.regions.iter_mut().filter(|(known, _)| known.id == region) {
            if let Some(peer) = known.peers.iter().find(|peer| peer.store_id == store) {
                *leader = *peer;
            }
        }
    }

    /// A region of the scheduler's map.
    pub fn region(&self, id: u64) -> (Region, Peer) {
        self.regions.iter().find(|(region, _)| region.id == id).cloned().unwrap_or_default()
    }

    /// The client's clock, in milliseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The last timestamp that was handed out.
    pub fn last_ts(&self) -> u64 {
        self.last_ts
    }

    /// Says something, notes what comes back, and answers what the desk answers by itself.
    pub fn say(&mut self, what: What) -> Verdict {
        let mut queue = vec![what];
        while let Some(what) = queue.pop() {
            self.run.count_input();
            for effect in self.link.exchange(Input { now: self.now, what })? {
                match effect {
                    Effect::AskTimestamp(id) if self.keeps_timestamps => self.kept.push(id),
                    Effect::AskTimestamp(id) => queue.push(What::Timestamp(id, self.next_ts())),
                    Effect::AskRegion(id, position) => {
                        self.region_asks += 1;
                        queue.push(self.find(id, &position)?);
                    }
                    Effect::Send(id, store, method, bytes) => {
                        self.sent.push(Sent { id, store, asked: decode(&method, &bytes)? });
                    }
                    Effect::Done(outcome) => self.done.push(outcome),
                    Effect::WakesAt(at) => self.wakes_at = at,
                }
            }
            if self.run.findings().inputs > 10_000 {
                return Err(Failure::broke(
                    "the client asks for ever, without a pause",
                    "a test of this size needs less than 10,000 messages",
                    "they were used up",
                ));
            }
        }
        Ok(())
    }

    fn find(&self, id: u64, position: &[u8]) -> Verdict<What> {
        let has = |region: &Region| {
            position >= &region.start_key[..]
                && (region.end_key.is_empty() || position < &region.end_key[..])
        };
        let found = self.regions.iter().find(|(region, _)| has(region));
        let (region, leader) = found.ok_or_else(|| {
            wrong("a position was asked for that no region has", "a key's encoding", text(position))
        })?;
        let bytes = |message: &dyn Fn() -> Vec<u8>| ByteBuf::from(message());
        let region = bytes(&|| region.encode_to_vec());
        Ok(What::Region(id, region, bytes(&|| leader.encode_to_vec())))
    }

    fn next_ts(&mut self) -> u64 {
        self.last_ts = (self.now << 18).max(self.last_ts + 1);
        self.last_ts
    }

    /// Begins; returns the start timestamp.
    pub fn begin(&mut self) -> Verdict<u64> {
        self.say(What::Begin)?;
        match self.done.pop() {
            Some(Outcome::Began(ts)) if ts == self.last_ts => Ok(ts),
            other => Err(wrong(
                "a transaction begins with the oracle's timestamp",
                format!("Began({})", self.last_ts),
                format!("{other:?}"),
            )),
        }
    }

    /// Notes writes.
    pub fn put(&mut self, keys: &[&[u8]]) -> Verdict {
        for key in keys {
            self.say(What::Put(key.to_vec(), [b"new ", *key].concat()))?;
        }
        Ok(())
    }

    /// Begins a read.
    pub fn get(&mut self, keys: &[&[u8]]) -> Verdict {
        self.say(What::Get(keys.iter().map(|key| key.to_vec()).collect()))
    }

    /// The requests that were sent since the last time, in the order of their stores.
    pub fn sent(&mut self) -> Vec<Sent> {
        let mut sent = std::mem::take(&mut self.sent);
        sent.sort_by_key(|sent| (sent.store, sent.id));
        sent
    }

    /// The one request that was sent since the last time.
    pub fn one(&mut self, what: &str) -> Verdict<Sent> {
        let mut sent = self.sent();
        match sent.len() {
            1 => Ok(sent.remove(0)),
            _ => Err(wrong(what, "one request", show(&sent))),
        }
    }

    /// Nothing was sent since the last time.
    pub fn silent(&mut self, what: &str) -> Verdict {
        let sent = self.sent();
        if sent.is_empty() { Ok(()) } else { Err(wrong(what, "nothing is sent", show(&sent))) }
    }

    /// A store answers.
    pub fn answer(&mut self, to: &Sent, response: &impl Message) -> Verdict {
        self.say(What::Response(to.id, to.method().into(), response.encode_to_vec().into()))
    }

    /// A store refuses because of the region.
    pub fn refuse(&mut self, to: &Sent, error: errorpb::Error) -> Verdict {
        // All responses have the region error in field 1.
        let response =
            proto::kvrpcpb::CommitResponse { region_error: Some(error), ..Default::default() };
        self.answer(to, &response)
    }

    /// No answer comes.
    pub fn lose(&mut self, to: &Sent) -> Verdict {
        self.say(What::Nothing(to.id))
    }

    /// So many milliseconds pass.
    pub fn pass(&mut self, millis: u64) -> Verdict {
        self.now += millis;
        self.say(What::Tick)
    }

    /// Time passes until the client wants to go on.
    pub fn wait(&mut self, what: &str) -> Verdict {
        match self.wakes_at {
            Some(at) => {
                self.now = self.now.max(at);
                self.say(What::Tick)
            }
            None => Err(wrong(what, "a pause, and then another try", "it sleeps for ever")),
        }
    }

    /// What the last call came to, if it is over.
    pub fn done(&mut self) -> Option<Outcome> {
        if self.done.is_empty() { None } else { Some(self.done.remove(0)) }
    }

    /// The last call came to this.
    pub fn expect(&mut self, what: &str, outcome: &Outcome) -> Verdict {
        match self.done() {
            Some(done) if done == *outcome => Ok(()),
            Some(other) => Err(wrong(what, format!("{outcome:?}"), format!("{other:?}"))),
            None => Err(wrong(what, format!("{outcome:?}"), "the call is not over")),
        }
    }

    /// The last call is not over.
    pub fn expect_open(&mut self, what: &str) -> Verdict {
        match self.done() {
            None => Ok(()),
            Some(outcome) => Err(wrong(what, "the call goes on", format!("{outcome:?}"))),
        }
    }

    /// A transaction that has written these keys, and begun to commit: its start, and its prewrites.
    pub fn committing(&mut self, keys: &[&[u8]]) -> Verdict<(u64, Vec<Sent>)> {
        let start = self.begin()?;
        self.put(keys)?;
        self.say(What::Commit)?;
        Ok((start, self.sent()))
    }
}

/// A lock in the way.
pub fn locked(key: &[u8], primary: &[u8], start: u64) -> KeyError {
    let lock = LockInfo {
        key: key.to_vec().into(),
        primary_lock: primary.to_vec().into(),
        lock_version: start,
        lock_ttl: 3_000,
        ..Default::default()
    };
    KeyError { locked: Some(lock), ..Default::default() }
}

fn decode(method: &str, bytes: &[u8]) -> Verdict<Asked> {
    fn as_message<M: Message + Default>(bytes: &[u8]) -> Option<M> {
        M::decode(bytes).ok()
    }
    let asked = match method {
        "KvBatchGet" => as_message(bytes).map(Asked::BatchGet),
        "KvPrewrite" => as_message(bytes).map(Asked::Prewrite),
        "KvCommit" => as_message(bytes).map(Asked::Commit),
        "KvBatchRollback" => as_message(bytes).map(Asked::BatchRollback),
        "KvCheckTxnStatus" => as_message(bytes).map(Asked::CheckTxnStatus),
        "KvResolveLock" => as_message(bytes).map(Asked::ResolveLock),
        _ => None,
    };
    asked.ok_or_else(|| wrong("a request that no store knows", "one of the six RPCs", method))
}
