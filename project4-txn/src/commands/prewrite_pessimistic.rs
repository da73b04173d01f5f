//! The checks of a prewrite whose transaction has locked its keys before.
//!
//! There is nothing to conflict with: the lock has kept everybody out since it was taken, and what is newer than
//! the transaction's start and older than the lock was accepted then. What can go wrong is that the lock is gone.

use proto::kvrpcpb::PrewriteRequest;
use proto::kvrpcpb::prewrite_request::PessimisticAction;

use super::errors;
use super::prewrite::Checked;
use crate::mvcc::{LockKind, MvccReader, Record};
use crate::{Result, TimeStamp};

/// Checks one key of a pessimistic transaction.
///
/// # Errors
/// `locked`: another transaction's lock on a key that was not locked before. `conflict`: a rollback of this
/// transaction. `abort`: the lock is gone, and somebody may have written since.
pub(super) fn check_pessimistic(
    reader: &MvccReader,
    request: &PrewriteRequest,
    at: usize,
    key: &[u8],
) -> Result<Checked> {
    let start_ts = TimeStamp::new(request.start_version);
    let action = request.pessimistic_actions.get(at).copied().unwrap_or_default();
    let must_be_locked = action == i32::from(PessimisticAction::DoPessimisticCheck);
    match reader.load_lock(key)? {
        Some(lock) if lock.start_ts != start_ts && must_be_locked => {
            return Err(errors::pessimistic_lock_not_found(key, start_ts).into());
        }
        Some(lock) if lock.start_ts != start_ts => return Err(errors::locked(key, &lock).into()),
        Some(lock) if lock.kind == LockKind::Pessimistic => {
            let taken_at = |expected| lock.for_update_ts.get() == expected;
            let constraint = request
                .for_update_ts_constraints
                .iter()
                .find(|constraint| constraint.index as usize == at);
            return if constraint.is_none_or(|c| taken_at(c.expected_for_update_ts)) {
                Ok(Checked::Free(Some(lock)))
            } else {
                Err(errors::pessimistic_lock_not_found(key, start_ts).into())
            };
        }
        Some(lock) => return Ok(Checked::Locked(lock)),
        None => {}
    }
    match reader.find_record(key, start_ts)? {
        Record::Committed { commit_ts, .. } => return Ok(Checked::Committed(commit_ts)),
        Record::RolledBack => {
            return Err(errors::rolled_back(key, &request.primary_lock, start_ts).into());
        }
        Record::None => {}
    }
    if must_be_locked {
        // The lock was lost (TiKV keeps them in memory at times; a cleaner may have taken it). If nobody has
        // written since the transaction started, nothing is lost with it.
        match reader.newest_commit(key)? {
            Some((commit_ts, _)) if commit_ts >= start_ts => {
                return Err(errors::pessimistic_lock_not_found(key, start_ts).into());
            }
            _ => {}
        }
    }
    Ok(Checked::Free(None))
}
