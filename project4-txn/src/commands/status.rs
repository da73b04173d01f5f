//! What became of a transaction? Asked at its primary, by whoever met one of its locks.

use proto::kvrpcpb::{
    Action, CheckSecondaryLocksRequest, CheckSecondaryLocksResponse, CheckTxnStatusRequest,
    CheckTxnStatusResponse, TxnHeartBeatRequest, TxnHeartBeatResponse,
};

use super::rollback::{put_rollback, remove_lock};
use super::{Decided, errors};
use crate::mvcc::{Lock, LockKind, MvccReader, MvccTxn, Record};
use crate::{Result, TimeStamp};

/// How long a transaction whose primary is not here yet is taken to be on its way, in milliseconds after its
/// start.
///
/// Keys are prewritten in parallel, so that a reader may meet a secondary before the primary has arrived. TiKV
/// answers `txn_not_found` then; the official Rust client takes that for a failure of its user's call (trap T7).
pub const GRACE_MS: u64 = 3_000;

/// What became of the transaction `lock_ts`, whose primary is `primary_key`? If its time is over, it is rolled
/// back first, so that the answer stays true.
///
/// You will need [`MvccReader::load_lock`], `live_lock` for a lock of this transaction, [`MvccReader::find_record`],
/// `put_rollback` and `not_there_yet`. There are three forms of an answer: committed (`commit_version`), rolled back (all
/// empty), alive (`lock_ttl` and `lock_info`). `action` says what was done about it.
///
/// # Errors
/// `primary_mismatch`: its lock names another primary.
pub fn check_txn_status(
    reader: &MvccReader,
    request: &CheckTxnStatusRequest,
) -> Result<Decided<CheckTxnStatusResponse>> {
    // BEGIN SOLUTION 4C.check_txn_status
    let (key, start_ts) = (&request.primary_key[..], TimeStamp::new(request.lock_ts));
    let found = reader.load_lock(key)?;
    if let Some(lock) = &found
        && lock.start_ts == start_ts
    {
        return live_lock(reader, request, lock.clone());
    }
    let mut response = CheckTxnStatusResponse::default();
    match reader.find_record(key, start_ts)? {
        Record::Committed { commit_ts, .. } => {
            response.commit_version = commit_ts.get();
            Ok(Decided::only(response))
        }
        Record::RolledBack => Ok(Decided::only(response)),
        Record::None if !request.rollback_if_not_exist && is_young(request) => {
            Ok(Decided::only(not_there_yet(request)))
        }
        Record::None if request.resolving_pessimistic_lock => {
            response.set_action(Action::LockNotExistDoNothing);
            Ok(Decided::only(response))
        }
        Record::None => {
            // Without the record, the primary could still arrive, after others were told that it is dead.
            let mut txn = MvccTxn::new(start_ts);
            put_rollback(reader, &mut txn, key, true, found)?;
            response.set_action(Action::LockNotExistRollback);
            Ok(Decided::new(txn.into_modifies(), response))
        }
    }
    // END SOLUTION
}

/// The answer about a transaction that still holds its primary.
///
/// You will need [`Lock::is_expired`], `remove_lock` and `put_rollback` for one whose time is over, `alive` for
/// the rest. Three kinds are special. An async-commit transaction may have happened, lock or no lock: it is
/// never rolled back here (unless `force_sync_commit`). A pessimistic lock, when that is all the asker is after
/// (`resolving_pessimistic_lock`), goes without a record. And a lock with a `min_commit_ts` can be pushed out of
/// the asker's way: `push`.
fn live_lock(
    reader: &MvccReader,
    request: &CheckTxnStatusRequest,
    lock: Lock,
) -> Result<Decided<CheckTxnStatusResponse>> {
    // BEGIN SOLUTION 4C.check_txn_status
    let mut lock = lock;
    let key = &request.primary_key[..];
    if request.verify_is_primary && lock.primary != key {
        return Err(errors::primary_mismatch(key, &lock).into());
    }
    if lock.use_async_commit && !request.force_sync_commit {
        return Ok(Decided::only(alive(key, &lock, Action::NoAction)));
    }
    let mut txn = MvccTxn::new(lock.start_ts);
    if !lock.is_expired(request.current_ts.into()) {
        let pushed = push(&mut lock, request.caller_start_ts.into());
        if pushed {
            txn.put_lock(key, &lock);
        }
        let action = if pushed { Action::MinCommitTsPushed } else { Action::NoAction };
        return Ok(Decided::new(txn.into_modifies(), alive(key, &lock, action)));
    }
    let mut response = CheckTxnStatusResponse::default();
    remove_lock(&mut txn, key, &lock);
    if lock.kind == LockKind::Pessimistic && request.resolving_pessimistic_lock {
        response.set_action(Action::TtlExpirePessimisticRollback);
    } else {
        put_rollback(reader, &mut txn, key, true, None)?;
        response.set_action(Action::TtlExpireRollback);
    }
    Ok(Decided::new(txn.into_modifies(), response))
    // END SOLUTION
}

/// The form of an answer that says: it is alive.
fn alive(key: &[u8], lock: &Lock, action: Action) -> CheckTxnStatusResponse {
    CheckTxnStatusResponse {
        lock_ttl: lock.ttl,
        action: action.into(),
        lock_info: Some(lock.to_info(key)),
        ..Default::default()
    }
}

/// Makes the owner commit above `caller`, who may then read past the lock. Only a lock that has a `min_commit_ts`
/// belongs to a client that can deal with this.
fn push(lock: &mut Lock, caller: TimeStamp) -> bool {
    let pushable = !lock.min_commit_ts.is_zero() && caller != TimeStamp::MAX;
    let pushed = pushable && caller >= lock.min_commit_ts;
    if pushed {
        lock.min_commit_ts = caller.next();
    }
    pushed
}

/// Whether the transaction may still be on its way.
fn is_young(request: &CheckTxnStatusRequest) -> bool {
    let started = TimeStamp::new(request.lock_ts).physical();
    TimeStamp::new(request.current_ts).physical() <= started.saturating_add(GRACE_MS)
}

/// The answer about a transaction whose primary has not arrived: as if it had.
fn not_there_yet(request: &CheckTxnStatusRequest) -> CheckTxnStatusResponse {
    let key = &request.primary_key[..];
    let lock = Lock::new(LockKind::Lock, key, request.lock_ts.into(), GRACE_MS);
    alive(key, &lock, Action::NoAction)
}

/// The owner is alive: its primary's lock gets at least the life that it asks for.
///
/// # Errors
/// `txn_not_found`: there is no lock of it.
pub fn txn_heart_beat(
    reader: &MvccReader,
    request: &TxnHeartBeatRequest,
) -> Result<Decided<TxnHeartBeatResponse>> {
    let (key, start_ts) = (&request.primary_lock[..], TimeStamp::new(request.start_version));
    let Some(mut lock) = reader.load_lock(key)?.filter(|lock| lock.start_ts == start_ts) else {
        return Err(errors::txn_not_found(key, start_ts).into());
    };
    let mut txn = MvccTxn::new(start_ts);
    if request.advise_lock_ttl > lock.ttl {
        lock.ttl = request.advise_lock_ttl;
        txn.put_lock(key, &lock);
    }
    let response = TxnHeartBeatResponse { lock_ttl: lock.ttl, ..Default::default() };
    Ok(Decided::new(txn.into_modifies(), response))
}

/// Is the async-commit transaction complete on these keys? A key that it has not locked is rolled back first, so
/// that the answer stays true.
///
/// # Errors
/// Those of the storage.
pub fn check_secondary_locks(
    reader: &MvccReader,
    request: &CheckSecondaryLocksRequest,
) -> Result<Decided<CheckSecondaryLocksResponse>> {
    let start_ts = TimeStamp::new(request.start_version);
    let mut txn = MvccTxn::new(start_ts);
    let mut response = CheckSecondaryLocksResponse::default();
    for key in &request.keys {
        let lock = reader.load_lock(key)?;
        match lock {
            Some(lock) if lock.start_ts == start_ts && lock.kind != LockKind::Pessimistic => {
                response.locks.push(lock.to_info(key));
                continue;
            }
            Some(lock) if lock.start_ts == start_ts => {
                remove_lock(&mut txn, key, &lock);
                put_rollback(reader, &mut txn, key, true, None)?;
            }
            other => match reader.find_record(key, start_ts)? {
                Record::Committed { commit_ts, .. } => response.commit_ts = commit_ts.get(),
                Record::RolledBack => {}
                Record::None => put_rollback(reader, &mut txn, key, true, other)?,
            },
        }
        // One key that is not locked settles it for all.
        response.locks.clear();
        break;
    }
    Ok(Decided::new(txn.into_modifies(), response))
}
