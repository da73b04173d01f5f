//! Everything that is stored for a key, for people.

use proto::kvrpcpb::{MvccInfo, MvccLock, MvccValue, MvccWrite, Op};
use standalone::engine::{CF_DEFAULT, CF_WRITE, Direction};

use crate::mvcc::{MvccReader, Write, WriteKind, key};
use crate::{Result, TimeStamp};

/// The lock, the records and the values of `key`, the newest first.
///
/// # Errors
/// Those of the storage.
pub fn mvcc_info(reader: &MvccReader, key: &[u8]) -> Result<MvccInfo> {
    let mut info = MvccInfo::default();
    if let Some(lock) = reader.load_lock(key)? {
        let shown = lock.to_info(key);
        info.lock = Some(MvccLock {
            r#type: shown.lock_type,
            start_ts: shown.lock_version,
            primary: shown.primary_lock,
            short_value: lock.short_value.unwrap_or_default().into(),
            ttl: lock.ttl,
            for_update_ts: shown.lock_for_update_ts,
            txn_size: lock.txn_size,
            use_async_commit: lock.use_async_commit,
            secondaries: shown.secondaries,
            rollback_ts: lock.rollback_ts.iter().map(|ts| ts.get()).collect(),
        });
    }
    let versions = || key::versions(key, TimeStamp::MAX);
    let mut cursor = reader.inner().iter_cf(CF_WRITE, versions(), Direction::Forward)?;
    while cursor.advance()? {
        let (_, commit_ts) = key::key_of_version(cursor.key())?;
        let write = Write::parse(cursor.value())?;
        let kind = match write.kind {
            WriteKind::Put => Op::Put,
            WriteKind::Delete => Op::Del,
            WriteKind::Lock => Op::Lock,
            WriteKind::Rollback => Op::Rollback,
        };
        info.writes.push(MvccWrite {
            r#type: kind.into(),
            start_ts: write.start_ts.get(),
            commit_ts: commit_ts.get(),
            short_value: write.short_value.unwrap_or_default().into(),
            has_overlapped_rollback: write.has_overlapped_rollback,
        });
    }
    let mut cursor = reader.inner().iter_cf(CF_DEFAULT, versions(), Direction::Forward)?;
    while cursor.advance()? {
        let (_, start_ts) = key::key_of_version(cursor.key())?;
        let value = cursor.value().to_vec().into();
        info.values.push(MvccValue { start_ts: start_ts.get(), value });
    }
    Ok(info)
}
