//! Phase two: turn locks into versions.

use proto::kvrpcpb::{CommitRequest, CommitResponse};

use super::{Decided, errors};
use crate::mvcc::{Lock, MvccReader, MvccTxn, Record, Write, WriteKind};
use crate::{Result, TimeStamp};

/// Commits all keys of the request, or none.
///
/// # Errors
/// As [`commit_key`], for the first key that says no; and `abort` when the commit is not after the start.
pub fn commit(reader: &MvccReader, request: &CommitRequest) -> Result<Decided<CommitResponse>> {
    let start_ts = TimeStamp::new(request.start_version);
    let commit_ts = TimeStamp::new(request.commit_version);
    if commit_ts <= start_ts {
        let text = format!("a commit at {commit_ts} is not after the start at {start_ts}");
        return Err(errors::abort(text).into());
    }
    let mut txn = MvccTxn::new(start_ts);
    let mut response = CommitResponse { commit_version: commit_ts.get(), ..Default::default() };
    for key in &request.keys {
        response.commit_version = commit_key(reader, &mut txn, key, commit_ts)?.get();
    }
    Ok(Decided::new(txn.into_modifies(), response))
}

/// Commits one key at `commit_ts`; returns the timestamp at which it is committed.
///
/// You will need [`MvccReader::load_lock`], [`MvccReader::find_record`], `commit_lock` and the functions of
/// `errors`. If the transaction has no lock here, that is a success or a failure: which record says what? And a
/// lock may have promised readers not to commit too early.
///
/// # Errors
/// `commit_ts_expired`: below the lock's `min_commit_ts`. `retryable`: there is no lock (or none that says
/// what to write), and no commit either.
pub(super) fn commit_key(
    reader: &MvccReader,
    txn: &mut MvccTxn,
    key: &[u8],
    commit_ts: TimeStamp,
) -> Result<TimeStamp> {
    // BEGIN SOLUTION 4B.commit
    match reader.load_lock(key)? {
        Some(lock) if lock.start_ts == txn.start_ts => {
            if commit_ts < lock.min_commit_ts {
                return Err(errors::commit_ts_expired(key, &lock, commit_ts).into());
            }
            let Some(kind) = WriteKind::of_lock(lock.kind) else {
                return Err(errors::lock_not_found(key, txn.start_ts).into());
            };
            commit_lock(reader, txn, key, (lock, kind), commit_ts)?;
            Ok(commit_ts)
        }
        // Somebody else's lock says nothing about us: our commit may lie below it.
        _ => match reader.find_record(key, txn.start_ts)? {
            Record::Committed { commit_ts, .. } => Ok(commit_ts),
            Record::RolledBack | Record::None => {
                Err(errors::lock_not_found(key, txn.start_ts).into())
            }
        },
    }
    // END SOLUTION
}

/// Replaces a lock by the record that it stands for.
///
/// You will need [`Write::new`], `put_write` and `unlock`. The value, if it is long, is in its place already.
/// If there is a rollback of another transaction at exactly `commit_ts` (in the lock's `rollback_ts`, or as a
/// record), the new record has to say so, or that transaction's late prewrite would go through.
fn commit_lock(
    reader: &MvccReader,
    txn: &mut MvccTxn,
    key: &[u8],
    (lock, kind): (Lock, WriteKind),
    commit_ts: TimeStamp,
) -> Result<()> {
    // BEGIN SOLUTION 4B.commit
    let mut write = Write::new(kind, lock.start_ts, lock.short_value);
    let there = reader.seek_write(key, commit_ts)?.filter(|(ts, _)| *ts == commit_ts);
    write.has_overlapped_rollback = lock.rollback_ts.contains(&commit_ts)
        || there.is_some_and(|(_, write)| write.kind == WriteKind::Rollback);
    txn.put_write(key, commit_ts, &write);
    txn.unlock(key);
    Ok(())
    // END SOLUTION
}
