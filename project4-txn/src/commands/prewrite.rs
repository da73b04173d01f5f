//! Phase one: lock every key, and leave the new value with the lock.
//!
//! Each key is checked by itself, and any of them can say no; then nothing of the request is written. The checks
//! of an optimistic transaction are here, those of a pessimistic one in `prewrite_pessimistic.rs`.
//!
//! Two ways to save the second phase share this code. *Async commit*: the transaction has happened as soon as
//! all its locks are there, at the largest `min_commit_ts` of them; whoever finds a lock can find out, since the
//! primary's lock lists the others. *One-phase commit*: all keys are in this request, so that commit records
//! are written in place of locks. In both, the timestamp is not the oracle's but this store's: above every read
//! it has served. [`Concurrency`](crate::Concurrency) hands it in as `min_commit_ts`.

use proto::kvrpcpb::prewrite_request::PessimisticAction;
use proto::kvrpcpb::write_conflict::Reason;
use proto::kvrpcpb::{Assertion, AssertionLevel, Mutation, Op, PrewriteRequest, PrewriteResponse};

use super::prewrite_pessimistic::check_pessimistic;
use super::{Decided, errors};
use crate::mvcc::{Lock, LockKind, MvccReader, MvccTxn, Record, SHORT_VALUE_MAX, Write, WriteKind};
use crate::{Error, Result, TimeStamp};

/// What the checks of a key found.
pub(super) enum Checked {
    /// It is free: lock it. A lock of one's own that is replaced is handed on.
    Free(Option<Lock>),
    /// The lock is there already: this is a retry.
    Locked(Lock),
    /// It has been committed already: this is a late retry.
    Committed(TimeStamp),
}

/// Locks all keys of the request, or none.
///
/// `min_commit_ts` is there for async commit and one-phase commit, and is above all reads so far.
///
/// # Errors
/// Those of the storage. Key errors are in the response, one for each key that said no.
pub fn prewrite(
    reader: &MvccReader,
    request: &PrewriteRequest,
    min_commit_ts: Option<TimeStamp>,
) -> Result<Decided<PrewriteResponse>> {
    let mut work = Prewriting {
        request,
        start_ts: request.start_version.into(),
        min_commit_ts,
        txn: MvccTxn::new(request.start_version.into()),
        commits: Vec::new(),
        promised: Vec::new(),
    };
    let mut response = PrewriteResponse::default();
    for (at, mutation) in request.mutations.iter().enumerate() {
        match work.mutation(reader, at, mutation) {
            Ok(()) => {}
            Err(Error::Key(error)) => response.errors.push(*error),
            Err(error) => return Err(error),
        }
    }
    if !response.errors.is_empty() {
        return Ok(Decided::only(response));
    }
    Ok(work.finish(response))
}

struct Prewriting<'q> {
    request: &'q PrewriteRequest,
    start_ts: TimeStamp,
    min_commit_ts: Option<TimeStamp>,
    txn: MvccTxn,
    /// One-phase commit: what is to be committed.
    commits: Vec<(Vec<u8>, Lock, bool)>,
    /// What each key's lock promises, or the commit that was found.
    promised: Vec<TimeStamp>,
}

impl Prewriting<'_> {
    fn mutation(&mut self, reader: &MvccReader, at: usize, mutation: &Mutation) -> Result<()> {
        let key = &mutation.key[..];
        let action = self.request.pessimistic_actions.get(at).copied().unwrap_or_default();
        let optimistic = self.request.for_update_ts == 0
            || action == i32::from(PessimisticAction::DoConstraintCheck);
        let checked = if optimistic {
            check_optimistic(reader, self.request, key)?
        } else {
            check_pessimistic(reader, self.request, at, key)?
        };
        let own = match checked {
            Checked::Free(own) => own,
            Checked::Locked(lock) => {
                let promised =
                    if lock.use_async_commit { lock.min_commit_ts } else { TimeStamp::ZERO };
                self.promised.push(promised);
                return Ok(());
            }
            Checked::Committed(commit_ts) => {
                self.promised.push(commit_ts);
                return Ok(());
            }
        };
        check_existence(reader, self.request, mutation)?;
        if mutation.op() == Op::CheckNotExists {
            return Ok(());
        }
        self.lock(mutation, own);
        Ok(())
    }

    /// Puts the lock of a key that said yes, or notes it for the commit in one phase.
    fn lock(&mut self, mutation: &Mutation, own: Option<Lock>) {
        let (key, request) = (&mutation.key[..], self.request);
        let kind = match mutation.op() {
            Op::Del => LockKind::Delete,
            Op::Lock => LockKind::Lock,
            _ => LockKind::Put,
        };
        let mut lock = Lock::new(kind, &request.primary_lock, self.start_ts, request.lock_ttl);
        lock.for_update_ts = request.for_update_ts.into();
        lock.txn_size = request.txn_size;
        lock.min_commit_ts = request.min_commit_ts.into();
        let had_lock = own.is_some();
        if let Some(own) = own {
            // What was promised about the lock that is replaced goes on.
            lock.ttl = lock.ttl.max(own.ttl);
            lock.min_commit_ts = lock.min_commit_ts.max(own.min_commit_ts);
            lock.rollback_ts = own.rollback_ts;
        }
        if kind == LockKind::Put {
            if mutation.value.len() <= SHORT_VALUE_MAX {
                lock.short_value = Some(mutation.value.to_vec());
            } else {
                self.txn.put_value(key, mutation.value.to_vec());
            }
        }
        let Some(promised) = self.min_commit_ts else {
            return self.txn.put_lock(key, &lock);
        };
        lock.min_commit_ts = lock.min_commit_ts.max(promised);
        self.promised.push(lock.min_commit_ts);
        if request.try_one_pc {
            self.commits.push((key.to_vec(), lock, had_lock));
            return;
        }
        lock.use_async_commit = true;
        if key == &request.primary_lock[..] {
            lock.secondaries = request.secondaries.iter().map(|key| key.to_vec()).collect();
        }
        self.txn.put_lock(key, &lock);
    }

    fn finish(mut self, mut response: PrewriteResponse) -> Decided<PrewriteResponse> {
        if self.min_commit_ts.is_none() {
            return Decided::new(self.txn.into_modifies(), response);
        }
        let highest = self.promised.iter().max().copied().unwrap_or_default();
        if self.request.try_one_pc {
            for (key, lock, had_lock) in self.commits {
                let kind =
                    WriteKind::of_lock(lock.kind).expect("a mutation has something to commit");
                let mut write = Write::new(kind, self.start_ts, lock.short_value);
                write.has_overlapped_rollback = lock.rollback_ts.contains(&highest);
                self.txn.put_write(&key, highest, &write);
                if had_lock {
                    self.txn.unlock(&key);
                }
            }
            // A request that locks nothing (CheckNotExists alone) is committed, too. A retry hears the commit that
            // has happened.
            let chosen = if self.promised.is_empty() { self.min_commit_ts } else { Some(highest) };
            response.one_pc_commit_ts = chosen.unwrap_or_default().get();
        } else if self.promised.iter().all(|promised| !promised.is_zero()) {
            response.min_commit_ts = highest.max(self.start_ts.next()).get();
        }
        Decided::new(self.txn.into_modifies(), response)
    }
}

/// The checks of an optimistic transaction on one key: nobody else may hold it, and nobody may have committed
/// it since the transaction started. What it read would no longer be true.
///
/// You will need [`MvccReader::load_lock`], [`MvccReader::find_record`], [`MvccReader::newest_commit`] and the
/// functions of `errors`. Prewrites come twice, and late: after the commit of the same transaction, and after
/// its rollback. What is the right answer to each of these four?
///
/// # Errors
/// `locked`: another transaction's lock. `conflict`: a commit after the start (`Optimistic`), or a rollback of
/// this transaction (`SelfRolledBack`).
fn check_optimistic(reader: &MvccReader, request: &PrewriteRequest, key: &[u8]) -> Result<Checked> {
    // BEGIN SOLUTION 4B.prewrite
    let start_ts = TimeStamp::new(request.start_version);
    match reader.load_lock(key)? {
        Some(lock) if lock.start_ts != start_ts => {
            return Err(errors::locked(key, &lock).into());
        }
        Some(lock) => return Ok(Checked::Locked(lock)),
        None => {}
    }
    match reader.find_record(key, start_ts)? {
        Record::Committed { commit_ts, .. } => return Ok(Checked::Committed(commit_ts)),
        // A late message: to lock the key again would bring a dead transaction half to life.
        Record::RolledBack => {
            return Err(errors::rolled_back(key, &request.primary_lock, start_ts).into());
        }
        Record::None => {}
    }
    match reader.newest_commit(key)? {
        // By its commit: one that started earlier and committed later was not in our snapshot.
        Some((commit_ts, write)) if commit_ts > start_ts => {
            let newest = (commit_ts, &write);
            let primary = &request.primary_lock;
            Err(errors::conflict(key, primary, start_ts, newest, Reason::Optimistic).into())
        }
        _ => Ok(Checked::Free(None)),
    }
    // END SOLUTION
}

/// What the mutation demands of the value that is there: none, for `Insert` and `CheckNotExists`; what its
/// assertion says, if assertions are checked.
fn check_existence(
    reader: &MvccReader,
    request: &PrewriteRequest,
    mutation: &Mutation,
) -> Result<()> {
    let must_be_absent = matches!(mutation.op(), Op::Insert | Op::CheckNotExists);
    let asserts =
        request.assertion_level() != AssertionLevel::Off && mutation.assertion() != Assertion::None;
    if !must_be_absent && !asserts {
        return Ok(());
    }
    let change = reader.seek_change(&mutation.key, TimeStamp::MAX)?;
    let present = change.as_ref().is_some_and(|(_, write)| write.kind == WriteKind::Put);
    if must_be_absent && present {
        return Err(errors::already_exists(&mutation.key).into());
    }
    let wrong = match mutation.assertion() {
        Assertion::Exist => !present,
        Assertion::NotExist => present,
        Assertion::None => false,
    };
    if asserts && wrong {
        let start_ts = request.start_version.into();
        let assertion = mutation.assertion();
        let failed = errors::assertion_failed(&mutation.key, start_ts, assertion, change.as_ref());
        return Err(failed.into());
    }
    Ok(())
}
