//! The key errors, one function each: which condition is which variant.

use proto::kvrpcpb::write_conflict::Reason;
use proto::kvrpcpb::{
    AlreadyExist, Assertion, AssertionFailed, CommitTsExpired, KeyError, PrimaryMismatch,
    TxnNotFound, WriteConflict,
};

use crate::TimeStamp;
use crate::mvcc::{Lock, Write};

/// Another transaction holds `key`: find out about it, then come again.
pub fn locked(key: &[u8], lock: &Lock) -> KeyError {
    KeyError { locked: Some(lock.to_info(key)), ..Default::default() }
}

/// Somebody has committed `key` after this transaction started: it is over.
pub fn conflict(
    key: &[u8],
    primary: &[u8],
    start_ts: TimeStamp,
    (commit_ts, write): (TimeStamp, &Write),
    reason: Reason,
) -> KeyError {
    let conflict = WriteConflict {
        start_ts: start_ts.get(),
        conflict_ts: write.start_ts.get(),
        conflict_commit_ts: commit_ts.get(),
        key: key.to_vec().into(),
        primary: primary.to_vec().into(),
        reason: reason.into(),
    };
    KeyError { conflict: Some(conflict), ..Default::default() }
}

/// This transaction has been rolled back on `key`: it is over.
pub fn rolled_back(key: &[u8], primary: &[u8], start_ts: TimeStamp) -> KeyError {
    let conflict = WriteConflict {
        start_ts: start_ts.get(),
        conflict_ts: start_ts.get(),
        conflict_commit_ts: 0,
        key: key.to_vec().into(),
        primary: primary.to_vec().into(),
        reason: Reason::SelfRolledBack.into(),
    };
    KeyError { conflict: Some(conflict), ..Default::default() }
}

/// `key` has a value, and the mutation demands that it has none.
pub fn already_exists(key: &[u8]) -> KeyError {
    let already_exist = Some(AlreadyExist { key: key.to_vec().into() });
    KeyError { already_exist, ..Default::default() }
}

/// What the client asserted about `key` is not so.
pub fn assertion_failed(
    key: &[u8],
    start_ts: TimeStamp,
    assertion: Assertion,
    existing: Option<&(TimeStamp, Write)>,
) -> KeyError {
    let assertion_failed = AssertionFailed {
        start_ts: start_ts.get(),
        key: key.to_vec().into(),
        assertion: assertion.into(),
        existing_start_ts: existing.map_or(0, |(_, write)| write.start_ts.get()),
        existing_commit_ts: existing.map_or(0, |(commit_ts, _)| commit_ts.get()),
    };
    KeyError { assertion_failed: Some(assertion_failed), ..Default::default() }
}

/// The lock that was to be committed is not there, and neither is a commit: somebody has rolled it back, or it
/// never came.
pub fn lock_not_found(key: &[u8], start_ts: TimeStamp) -> KeyError {
    let retryable = format!("transaction {start_ts} has no lock on {}", key.escape_ascii());
    KeyError { retryable, ..Default::default() }
}

/// The pessimistic lock that a prewrite relies on is gone.
pub fn pessimistic_lock_not_found(key: &[u8], start_ts: TimeStamp) -> KeyError {
    abort(format!("transaction {start_ts} has lost its lock on {}", key.escape_ascii()))
}

/// The owner has promised readers to commit at or above its `min_commit_ts`.
pub fn commit_ts_expired(key: &[u8], lock: &Lock, attempted: TimeStamp) -> KeyError {
    let expired = CommitTsExpired {
        start_ts: lock.start_ts.get(),
        attempted_commit_ts: attempted.get(),
        key: key.to_vec().into(),
        min_commit_ts: lock.min_commit_ts.get(),
    };
    KeyError { commit_ts_expired: Some(expired), ..Default::default() }
}

/// It has been committed, and that cannot be undone.
pub fn already_committed(key: &[u8], start_ts: TimeStamp, commit_ts: TimeStamp) -> KeyError {
    abort(format!("transaction {start_ts} has committed {} at {commit_ts}", key.escape_ascii()))
}

/// There is no lock of this transaction, so that there is nothing to keep alive.
pub fn txn_not_found(primary: &[u8], start_ts: TimeStamp) -> KeyError {
    let not_found = TxnNotFound { start_ts: start_ts.get(), primary_key: primary.to_vec().into() };
    KeyError { txn_not_found: Some(not_found), ..Default::default() }
}

/// The lock names another primary than the one that was asked about.
pub fn primary_mismatch(key: &[u8], lock: &Lock) -> KeyError {
    let mismatch = PrimaryMismatch { lock_info: Some(lock.to_info(key)) };
    KeyError { primary_mismatch: Some(mismatch), ..Default::default() }
}

/// There is no point in trying again; the text says why.
pub fn abort(text: String) -> KeyError {
    KeyError { abort: text, ..Default::default() }
}
