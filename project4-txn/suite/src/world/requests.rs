//! Requests, in the words of the tests.

use proto::kvrpcpb::{
    BatchRollbackRequest, CheckTxnStatusRequest, CommitRequest, GetRequest, Mutation, Op,
    PessimisticLockRequest, PrewriteRequest, ResolveLockRequest, ScanRequest,
};

use crate::rows::{Kind, Lock, Row, Ts, Write};

/// Milliseconds that a lock of these tests lives.
pub const TTL: u64 = 3_000;

/// The timestamp of a millisecond.
pub const fn ms(millis: u64) -> Ts {
    millis << 18
}

/// A mutation that puts.
pub fn put(key: &[u8], value: &[u8]) -> Mutation {
    mutation(Op::Put, key, value)
}

/// A mutation that deletes.
pub fn delete(key: &[u8]) -> Mutation {
    mutation(Op::Del, key, b"")
}

/// Any mutation.
pub fn mutation(op: Op, key: &[u8], value: &[u8]) -> Mutation {
    Mutation {
        op: op.into(),
        key: key.to_vec().into(),
        value: value.to_vec().into(),
        ..Default::default()
    }
}

/// A prewrite whose primary is its first key.
pub fn prewrite(start: Ts, mutations: &[Mutation]) -> PrewriteRequest {
    let primary = mutations.first().map(|m| m.key.clone()).unwrap_or_default();
    PrewriteRequest {
        mutations: mutations.to_vec(),
        primary_lock: primary,
        start_version: start,
        lock_ttl: TTL,
        ..Default::default()
    }
}

/// A prewrite with another primary.
pub fn prewrite_under(primary: &[u8], start: Ts, mutations: &[Mutation]) -> PrewriteRequest {
    PrewriteRequest { primary_lock: primary.to_vec().into(), ..prewrite(start, mutations) }
}

/// A commit.
pub fn commit(start: Ts, commit: Ts, keys: &[&[u8]]) -> CommitRequest {
    CommitRequest {
        start_version: start,
        commit_version: commit,
        keys: keys.iter().map(|key| key.to_vec().into()).collect(),
        ..Default::default()
    }
}

/// A rollback.
pub fn rollback(start: Ts, keys: &[&[u8]]) -> BatchRollbackRequest {
    BatchRollbackRequest {
        start_version: start,
        keys: keys.iter().map(|key| key.to_vec().into()).collect(),
        ..Default::default()
    }
}

/// A read.
pub fn get(key: &[u8], at: Ts) -> GetRequest {
    GetRequest { key: key.to_vec().into(), version: at, ..Default::default() }
}

/// A forward scan without an upper bound.
pub fn scan(from: &[u8], limit: u32, at: Ts) -> ScanRequest {
    ScanRequest { start_key: from.to_vec().into(), limit, version: at, ..Default::default() }
}

/// The question what became of a transaction, by somebody who will not take "unknown" for an answer.
pub fn check(primary: &[u8], start: Ts, now: Ts) -> CheckTxnStatusRequest {
    CheckTxnStatusRequest {
        primary_key: primary.to_vec().into(),
        lock_ts: start,
        caller_start_ts: now,
        current_ts: now,
        rollback_if_not_exist: true,
        ..Default::default()
    }
}

/// Finish a transaction's locks; a commit of 0 is a rollback.
pub fn resolve(start: Ts, commit: Ts) -> ResolveLockRequest {
    ResolveLockRequest { start_version: start, commit_version: commit, ..Default::default() }
}

/// A pessimistic lock on keys, the first of which is the primary, with the server's default patience.
pub fn lock(start: Ts, for_update: Ts, keys: &[&[u8]]) -> PessimisticLockRequest {
    PessimisticLockRequest {
        mutations: keys.iter().map(|key| mutation(Op::PessimisticLock, key, b"")).collect(),
        primary_lock: keys.first().map(|key| key.to_vec()).unwrap_or_default().into(),
        start_version: start,
        lock_ttl: TTL,
        for_update_ts: for_update,
        ..Default::default()
    }
}

/// The row of a committed short value.
pub fn committed(key: &[u8], start: Ts, commit: Ts, value: &[u8]) -> Row {
    Row::Write(key.to_vec(), commit, Write::put(start, value))
}

/// The row of a committed deletion.
pub fn deleted(key: &[u8], start: Ts, commit: Ts) -> Row {
    Row::Write(key.to_vec(), commit, Write::new(Kind::Delete, start))
}

/// The row of a rollback.
pub fn rolled_back(key: &[u8], start: Ts) -> Row {
    Row::Write(key.to_vec(), start, Write::new(Kind::Rollback, start))
}

/// The row of a lock with a short value.
pub fn locked(key: &[u8], primary: &[u8], start: Ts, value: &[u8]) -> Row {
    Row::Lock(key.to_vec(), Lock::put(primary, start, TTL, value))
}
