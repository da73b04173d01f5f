//! The trace of a store with transactions, for the viewer: who asked for what and was told what, and which keys were locked, by
//! whom, and what that came to.
//!
//! A client is known by the transaction that it runs; who cleans up for others (client 0) often does not say which. Time stands still: each thing that happens is a step, and what was
//! begun in one instant stands in a row. Locks and records are what the storage holds after an input, compared with
//! before; that look is no input of the test.

use std::collections::BTreeMap;

use prost::Message;
use proto::kvrpcpb as pb;
use sim::trace::{Event, Trace};

use super::show_error;
use crate::protocol::Trouble;
use crate::rows::{Kind, Row, text};

/// A trace that is being made.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    on: bool,
    seed: u64,
    trace: Trace,
    step: u64,
    life: u64,
    /// Open calls: the method and the attempt's number in the trace.
    calls: BTreeMap<u64, String>,
    locks: BTreeMap<Vec<u8>, (u64, Kind)>,
    records: BTreeMap<(Vec<u8>, u64), (u64, Kind)>,
}

impl Recorder {
    pub fn new(on: bool, seed: u64) -> Self {
        Recorder { on, seed, ..Recorder::default() }
    }

    pub fn on(&self) -> bool {
        self.on
    }

    pub fn into_trace(self) -> Trace {
        self.trace
    }

    fn line(&mut self, event: Event) {
        if self.on {
            self.step += 1;
            self.trace.line(self.step * 1_000, || event);
        }
    }

    /// An empty store: what was before is another story.
    pub fn begins(&mut self) {
        let mut trace = Trace::new(self.on);
        // The hash goes on: it is about the whole run.
        trace.mix(&[self.trace.hash()], &[]);
        *self = Recorder { trace, ..Recorder::new(self.on, self.seed) };
        let clock = Some("step".to_owned());
        let seed = self.seed;
        self.line(Event::Start { trace: 1, seed, clock, nodes: vec![1], clients: Vec::new() });
        self.opens();
    }

    pub fn opens(&mut self) {
        self.life += 1;
        let life = self.life;
        self.line(Event::Open { n: 1, life });
    }

    pub fn crashes(&mut self) {
        self.line(Event::Crash { n: 1, how: "power cut".into(), lost: Vec::new() });
    }

    pub fn asks(&mut self, number: u64, method: &str, request: &[u8]) {
        if !self.on {
            return;
        }
        let Asked { by: client, text, key } = asked(method, request);
        self.calls.insert(number, method.to_owned());
        let op = usize::try_from(number).unwrap_or_default();
        let txn = (client > 0).then_some(client);
        self.line(Event::Call { op, client, n: 1, txn, text, key });
    }

    pub fn is_told(&mut self, number: u64, answer: &Result<impl AsRef<[u8]>, Trouble>) {
        self.trace.mix(&[number], answer.as_ref().map_or(&[], |bytes| bytes.as_ref()));
        let Some(method) = self.calls.remove(&number) else { return };
        let (how, text) = match answer {
            Ok(bytes) => told(&method, bytes.as_ref()),
            Err(trouble) if trouble.definite => ("never", trouble.text.clone()),
            Err(trouble) => ("unknown", trouble.text.clone()),
        };
        let op = usize::try_from(number).unwrap_or_default();
        self.line(Event::Return { op, how: how.to_owned(), text });
    }

    /// What the storage holds now.
    pub fn holds(&mut self, rows: &[Row]) {
        let (mut locks, mut records) = (BTreeMap::new(), BTreeMap::new());
        let mut primaries = BTreeMap::new();
        for row in rows {
            match row {
                Row::Lock(key, lock) => {
                    locks.insert(key.clone(), (lock.start, lock.kind));
                    primaries.insert(key.clone(), lock.primary.clone());
                }
                Row::Write(key, ts, write) => {
                    records.insert((key.clone(), *ts), (write.start, write.kind));
                }
                Row::Value(..) | Row::Strange(..) => {}
            }
        }
        let (before, known) = (std::mem::take(&mut self.locks), std::mem::take(&mut self.records));
        for (key, (txn, _)) in &before {
            if locks.get(key).is_none_or(|(now, _)| now != txn) {
                self.line(Event::Unlock { n: 1, key: text(key), txn: *txn });
            }
        }
        for ((key, ts), (txn, kind)) in &records {
            if known.get(&(key.clone(), *ts)) != Some(&(*txn, *kind)) {
                let (key, kind) = (text(key), format!("{kind:?}"));
                self.line(Event::Record { n: 1, key, txn: *txn, commit: *ts, kind });
            }
        }
        for (key, (txn, kind)) in &locks {
            if before.get(key) != Some(&(*txn, *kind)) {
                let primary = primaries.get(key).map(|key| text(key)).unwrap_or_default();
                let (key, kind) = (text(key), format!("{kind:?}"));
                self.line(Event::Lock { n: 1, key, txn: *txn, primary, kind });
            }
        }
        (self.locks, self.records) = (locks, records);
    }
}

/// A request in a few words.
pub struct Asked {
    /// The transaction of whoever asks; 0: the request does not say.
    pub by: u64,
    /// What it asks for.
    pub text: String,
    key: String,
}

/// Puts a request in words.
pub fn asked(method: &str, bytes: &[u8]) -> Asked {
    // The test itself encoded it.
    fn read<M: Message + Default>(bytes: &[u8]) -> M {
        M::decode(bytes).unwrap_or_default()
    }
    let list = |keys: &[&[u8]]| keys.iter().map(|key| text(key)).collect::<Vec<_>>().join(" ");
    let say = |by, words: String, key: &[u8]| Asked { by, text: words, key: text(key) };
    match method {
        "KvGet" => {
            let r: pb::GetRequest = read(bytes);
            say(r.version, format!("get {}", text(&r.key)), &r.key)
        }
        "KvScan" => {
            let r: pb::ScanRequest = read(bytes);
            say(r.version, format!("scan from {}", text(&r.start_key)), b"")
        }
        "KvPrewrite" => {
            let r: pb::PrewriteRequest = read(bytes);
            let keys: Vec<&[u8]> = r.mutations.iter().map(|m| &m.key[..]).collect();
            let words = format!("prewrite {}, primary {}", list(&keys), text(&r.primary_lock));
            say(r.start_version, words, keys.first().unwrap_or(&&b""[..]))
        }
        "KvCommit" => {
            let r: pb::CommitRequest = read(bytes);
            let keys: Vec<&[u8]> = r.keys.iter().map(|key| &key[..]).collect();
            let words = format!("commit {} @{}", list(&keys), r.commit_version);
            say(r.start_version, words, keys.first().unwrap_or(&&b""[..]))
        }
        "KvBatchRollback" => {
            let r: pb::BatchRollbackRequest = read(bytes);
            let keys: Vec<&[u8]> = r.keys.iter().map(|key| &key[..]).collect();
            say(r.start_version, format!("roll back {}", list(&keys)), b"")
        }
        "KvPessimisticLock" => {
            let r: pb::PessimisticLockRequest = read(bytes);
            let keys: Vec<&[u8]> = r.mutations.iter().map(|m| &m.key[..]).collect();
            say(r.start_version, format!("lock {} for update", list(&keys)), b"")
        }
        "KvCheckTxnStatus" => {
            let r: pb::CheckTxnStatusRequest = read(bytes);
            let words =
                format!("what of txn {}? asked at its primary {}", r.lock_ts, text(&r.primary_key));
            // The largest one means: at any rate.
            let by = if r.caller_start_ts == u64::MAX { 0 } else { r.caller_start_ts };
            say(by, words, &r.primary_key)
        }
        "KvResolveLock" => {
            let r: pb::ResolveLockRequest = read(bytes);
            let words = match r.commit_version {
                0 => format!("roll back the locks of txn {}", r.start_version),
                ts => format!("commit the locks of txn {} @{ts}", r.start_version),
            };
            say(0, words, b"")
        }
        other => say(0, other.trim_start_matches("Kv").to_owned(), b""),
    }
}

/// A response in a few words.
fn told(method: &str, bytes: &[u8]) -> (&'static str, String) {
    fn read<M: Message + Default>(bytes: &[u8]) -> M {
        M::decode(bytes).unwrap_or_default()
    }
    let ended = |error: Option<&pb::KeyError>, well: String| match error {
        None => ("ok", well),
        error => ("never", show_error(error)),
    };
    match method {
        "KvGet" => {
            let r: pb::GetResponse = read(bytes);
            let value = if r.not_found { "not found".into() } else { text(&r.value) };
            ended(r.error.as_ref(), value)
        }
        "KvScan" => {
            let r: pb::ScanResponse = read(bytes);
            let error = r.pairs.iter().find_map(|pair| pair.error.as_ref());
            ended(error.or(r.error.as_ref()), format!("{} pairs", r.pairs.len()))
        }
        "KvPrewrite" => ended(read::<pb::PrewriteResponse>(bytes).errors.first(), "ok".into()),
        "KvCommit" => ended(read::<pb::CommitResponse>(bytes).error.as_ref(), "ok".into()),
        "KvBatchRollback" => {
            ended(read::<pb::BatchRollbackResponse>(bytes).error.as_ref(), "ok".into())
        }
        "KvResolveLock" => {
            ended(read::<pb::ResolveLockResponse>(bytes).error.as_ref(), "ok".into())
        }
        "KvPessimisticLock" => {
            ended(read::<pb::PessimisticLockResponse>(bytes).errors.first(), "ok".into())
        }
        "KvCheckTxnStatus" => {
            let r: pb::CheckTxnStatusResponse = read(bytes);
            let status = match (r.commit_version, r.lock_ttl) {
                (0, 0) => "it is rolled back".to_owned(),
                (0, ttl) => format!("it lives, ttl {ttl}"),
                (ts, _) => format!("it is committed @{ts}"),
            };
            ended(r.error.as_ref(), status)
        }
        _ => ("ok", "answered".into()),
    }
}
