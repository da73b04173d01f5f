//! What of a transaction can be seen from the street, for the viewer: questions and answers in words, and which keys were locked
//! for how long, and what came of it.
//!
//! A store of these worlds shows nobody its locks. But what it answers says what it did: a prewrite that it confirms has
//! locked, a commit has replaced the lock with a record. So a lock begins here when the store *answers*, and a store that dies before
//! it answers has a lock that is not drawn. Nothing here judges; it is called only when a trace is kept.

use std::collections::BTreeMap;

use prost::Message;
use proto::kvrpcpb as pb;
use sim::cluster::protocol::NodeId;
use sim::trace::Event;

use super::talk::{FromStore, ToStore};
use crate::rows::text;
use crate::world::asked;

/// A transaction's lock on a key.
#[derive(Debug)]
struct Lock {
    txn: u64,
    kind: String,
}

/// Who holds which key, as far as answers have told.
#[derive(Debug, Default)]
pub struct Spans {
    /// Questions that are under way, by who asked and their number.
    open: BTreeMap<(NodeId, u64), ToStore>,
    locks: BTreeMap<Vec<u8>, Lock>,
    records: BTreeMap<Vec<u8>, Vec<u64>>,
}

impl Spans {
    /// A door asks: in words.
    pub fn asks(&mut self, door: NodeId, question: ToStore) -> String {
        let asked = asked(&question.method, &question.bytes);
        let by = if asked.by > 0 { format!("txn {} ", asked.by) } else { String::new() };
        let words = format!("{by}{}", asked.text);
        self.open.insert((door, question.id), question);
        words
    }

    /// A store answers a door: what that tells. `inside` says whether a key is in a region.
    pub fn answers(
        &mut self,
        store: NodeId,
        door: NodeId,
        answer: &FromStore,
        inside: impl Fn(u64, &[u8]) -> bool,
    ) -> Vec<Event> {
        let (Some(asked), Some(bytes)) = (self.open.get(&(door, answer.id)), &answer.response)
        else {
            return Vec::new();
        };
        let (question, mut out) = (asked.bytes.clone(), Out { n: store, events: Vec::new() });
        match &*answer.method {
            "KvPrewrite" => self.prewritten(&read(&question), &read(bytes), &mut out),
            "KvCommit" => {
                let (r, a): (pb::CommitRequest, pb::CommitResponse) =
                    (read(&question), read(bytes));
                if a.region_error.is_none() && a.error.is_none() {
                    self.end(&r.keys, r.start_version, r.commit_version, &mut out);
                }
            }
            "KvBatchRollback" => {
                let r: pb::BatchRollbackRequest = read(&question);
                let a: pb::BatchRollbackResponse = read(bytes);
                if a.region_error.is_none() && a.error.is_none() {
                    self.end(&r.keys, r.start_version, 0, &mut out);
                }
            }
            "KvCheckTxnStatus" => {
                let r: pb::CheckTxnStatusRequest = read(&question);
                let a: pb::CheckTxnStatusResponse = read(bytes);
                let over = [pb::Action::TtlExpireRollback, pb::Action::LockNotExistRollback];
                if a.region_error.is_none() && a.error.is_none() && over.contains(&a.action()) {
                    self.end(&[r.primary_key], r.lock_ts, 0, &mut out);
                }
            }
            "KvResolveLock" => {
                let r: pb::ResolveLockRequest = read(&question);
                let a: pb::ResolveLockResponse = read(bytes);
                if a.region_error.is_none() && a.error.is_none() {
                    let region = r.context.as_ref().map_or(0, |context| context.region_id);
                    let of = |(key, lock): (&Vec<u8>, &Lock)| {
                        (lock.txn == r.start_version && inside(region, key)).then(|| key.clone())
                    };
                    let keys: Vec<Vec<u8>> = self.locks.iter().filter_map(of).collect();
                    self.end(&keys, r.start_version, r.commit_version, &mut out);
                }
            }
            _ => {}
        }
        out.events
    }

    fn prewritten(&mut self, r: &pb::PrewriteRequest, a: &pb::PrewriteResponse, out: &mut Out) {
        if a.region_error.is_some() || !a.errors.is_empty() {
            return;
        }
        let txn = r.start_version;
        for change in &r.mutations {
            let kind = format!("{:?}", change.op());
            // It may have been told before, and it may be over.
            let known = self.locks.get(&change.key[..]).is_some_and(|lock| lock.txn == txn);
            let over = self.records.get(&change.key[..]).is_some_and(|txns| txns.contains(&txn));
            if a.one_pc_commit_ts == 0 && !known && !over {
                let (key, primary) = (text(&change.key), text(&r.primary_lock));
                out.tell(|n| Event::Lock { n, key, txn, primary, kind: kind.clone() });
                self.locks.insert(change.key.to_vec(), Lock { txn, kind });
            } else if a.one_pc_commit_ts > 0 {
                self.record(&change.key, txn, a.one_pc_commit_ts, kind, out);
            }
        }
    }

    /// The transaction is over at these keys; `commit` 0: it was rolled back.
    fn end(&mut self, keys: &[impl AsRef<[u8]>], txn: u64, commit: u64, out: &mut Out) {
        for key in keys.iter().map(AsRef::as_ref) {
            let mut kind = None;
            if self.locks.get(key).is_some_and(|lock| lock.txn == txn) {
                kind = self.locks.remove(key).map(|lock| lock.kind);
                let key = text(key);
                out.tell(|n| Event::Unlock { n, key, txn });
            }
            let kind = if commit == 0 { Some("Rollback".to_owned()) } else { kind };
            let at = if commit == 0 { txn } else { commit };
            self.record(key, txn, at, kind.unwrap_or_else(|| "Put".to_owned()), out);
        }
    }

    fn record(&mut self, key: &[u8], txn: u64, commit: u64, kind: String, out: &mut Out) {
        let txns = self.records.entry(key.to_vec()).or_default();
        if !txns.contains(&txn) {
            txns.push(txn);
            let key = text(key);
            out.tell(|n| Event::Record { n, key, txn, commit, kind });
        }
    }
}

/// What a store did.
struct Out {
    n: NodeId,
    events: Vec<Event>,
}

impl Out {
    fn tell(&mut self, event: impl FnOnce(NodeId) -> Event) {
        self.events.push(event(self.n));
    }
}

// What does not decode is found where it matters.
fn read<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).unwrap_or_default()
}
