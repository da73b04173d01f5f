//! Locking keys before it is known what will be written.
//!
//! An optimistic transaction finds out at its end that somebody was faster, and has to do everything again. A
//! pessimistic one locks each key when it touches it. It reads what is newest *now* (`for_update_ts`), not what
//! was there at its start, so that it waits for others instead of failing after them.

use proto::kvrpcpb::write_conflict::Reason;
use proto::kvrpcpb::{Assertion, Mutation, PessimisticLockRequest, PessimisticLockResponse};

use super::{Decided, errors};
use crate::mvcc::{Lock, LockKind, MvccReader, MvccTxn, Record, WriteKind};
use crate::{Result, TimeStamp};

/// What a lock request comes to.
#[derive(Debug)]
pub enum Locking {
    /// All keys are locked.
    Done(Box<PessimisticLockResponse>),
    /// Another transaction holds this key. Nothing was locked.
    Wait {
        /// The key.
        key: Vec<u8>,
        /// Its lock.
        lock: Lock,
    },
}

/// Locks all keys of the request, or none.
///
/// # Errors
/// `conflict`: a commit after `for_update_ts` (`PessimisticRetry`), or this transaction was rolled back here
/// (`SelfRolledBack`). `already_exist`: the assertion says that there is no value, and there is. `abort`: this
/// transaction has prewritten or committed the key already.
pub fn pessimistic_lock(
    reader: &MvccReader,
    request: &PessimisticLockRequest,
) -> Result<Decided<Locking>> {
    let mut txn = MvccTxn::new(request.start_version.into());
    let mut response = PessimisticLockResponse::default();
    for mutation in &request.mutations {
        let key = &mutation.key[..];
        let own = match reader.load_lock(key)? {
            Some(lock) if lock.start_ts != txn.start_ts => {
                return Ok(Decided::only(Locking::Wait { key: key.to_vec(), lock }));
            }
            Some(lock) if lock.kind != LockKind::Pessimistic => {
                let text = format!("{} is prewritten already", key.escape_ascii());
                return Err(errors::abort(text).into());
            }
            own => own,
        };
        if own.is_none() {
            check(reader, request, key)?;
        }
        let change = reader.seek_change(key, TimeStamp::MAX)?;
        let present = change.as_ref().is_some_and(|(_, write)| write.kind == WriteKind::Put);
        if present && mutation.assertion() == Assertion::NotExist {
            return Err(errors::already_exists(key).into());
        }
        if request.return_values || request.check_existence {
            response.not_founds.push(!present);
        }
        if request.return_values {
            let value = match change {
                Some((_, write)) if present => reader.load_value(key, write)?,
                _ => Vec::new(),
            };
            response.values.push(value.into());
        }
        if present || !request.lock_only_if_exists {
            put(&mut txn, request, mutation, own);
        }
    }
    Ok(Decided::new(txn.into_modifies(), Locking::Done(Box::new(response))))
}

/// Whether a key that this transaction does not hold yet may be locked.
fn check(reader: &MvccReader, request: &PessimisticLockRequest, key: &[u8]) -> Result<()> {
    let start_ts = TimeStamp::new(request.start_version);
    match reader.find_record(key, start_ts)? {
        Record::RolledBack => {
            return Err(errors::rolled_back(key, &request.primary_lock, start_ts).into());
        }
        Record::Committed { commit_ts, .. } => {
            return Err(errors::already_committed(key, start_ts, commit_ts).into());
        }
        Record::None => {}
    }
    match reader.newest_commit(key)? {
        Some((commit_ts, write)) if commit_ts.get() > request.for_update_ts => {
            let (primary, newest) = (&request.primary_lock, (commit_ts, &write));
            let reason = Reason::PessimisticRetry;
            Err(errors::conflict(key, primary, start_ts, newest, reason).into())
        }
        _ => Ok(()),
    }
}

fn put(
    txn: &mut MvccTxn,
    request: &PessimisticLockRequest,
    mutation: &Mutation,
    own: Option<Lock>,
) {
    let for_update_ts = TimeStamp::new(request.for_update_ts);
    let lock = match own {
        Some(own) if own.for_update_ts >= for_update_ts && own.ttl >= request.lock_ttl => return,
        Some(own) => Lock {
            for_update_ts: own.for_update_ts.max(for_update_ts),
            ttl: own.ttl.max(request.lock_ttl),
            ..own
        },
        None => {
            let (primary, ttl) = (&request.primary_lock, request.lock_ttl);
            let mut lock = Lock::new(LockKind::Pessimistic, primary, txn.start_ts, ttl);
            lock.for_update_ts = for_update_ts;
            lock.min_commit_ts = request.min_commit_ts.into();
            lock
        }
    };
    txn.put_lock(&mutation.key, &lock);
}
