//! Other people's locks.
//!
//! Whoever meets a lock asks at its primary what became of the owner. If that is decided, the lock can be finished, by
//! anybody, and the way is free. If the owner is alive, there is nothing to do but to wait. The question itself may decide: an
//! owner whose time is over is rolled back by it.

use proto::kvrpcpb::{
    CheckTxnStatusRequest, CheckTxnStatusResponse, LockInfo, ResolveLockRequest,
    ResolveLockResponse,
};

use super::work::{Step, Work};
use super::{Client, Request};
use crate::TimeStamp;

impl Client {
    /// Goes on with a piece of work that has met locks: with the first of them, or, when there is none left, with the
    /// work itself.
    ///
    /// You will need `self.fates` (what was found out about a transaction stays true), [`Step::Resolve`],
    /// [`Step::Timestamp`] (to ask about an owner takes the time of now, from the oracle) and `self.send`. Work that is sent
    /// again because its locks are gone has used a try: `self.again` with a pause of 0.
    pub(super) fn clear(&mut self, work: Work) {
        // BEGIN SOLUTION 4D.resolve
        let mut work = work;
        let Some(lock) = work.locks.first() else {
            work.step = Step::Job;
            return self.again(work, 0);
        };
        work.step = match self.fates.get(&lock.lock_version.into()) {
            Some(fate) => Step::Resolve(*fate),
            None => Step::Timestamp,
        };
        self.send(work);
        // END SOLUTION
    }

    /// The question about a lock's owner, at this time. If the primary has never heard of the owner, and its time is not
    /// over, it may be on its way: then it counts as alive.
    pub(super) fn check_request(&self, lock: &LockInfo, at: TimeStamp) -> Request {
        let expires = TimeStamp::new(lock.lock_version).physical() + lock.lock_ttl;
        Request::CheckTxnStatus(CheckTxnStatusRequest {
            primary_key: lock.primary_lock.clone(),
            lock_ts: lock.lock_version,
            caller_start_ts: self.txn.start_ts.get(),
            current_ts: at.get(),
            rollback_if_not_exist: at.physical() > expires,
            ..Default::default()
        })
    }

    /// What became of the first lock's owner.
    ///
    /// You will need `self.pause` for an owner that is alive (`lock_ttl`), `self.fates` and `self.clear`. The fate of a
    /// committed one is its `commit_version`; of one that was rolled back, zero. An error says nothing about the owner.
    pub(super) fn checked(&mut self, work: Work, response: &CheckTxnStatusResponse) {
        // BEGIN SOLUTION 4D.resolve
        if response.error.is_some() || response.lock_ttl > 0 {
            return self.pause(work);
        }
        if let Some(lock) = work.locks.first() {
            self.fates.insert(lock.lock_version.into(), response.commit_version.into());
        }
        self.clear(work);
        // END SOLUTION
    }

    /// The order to finish the locks of a transaction, in the region of this one.
    pub(super) fn resolve_request(lock: &LockInfo, fate: TimeStamp) -> Request {
        Request::ResolveLock(ResolveLockRequest {
            start_version: lock.lock_version,
            commit_version: fate.get(),
            ..Default::default()
        })
    }

    /// The first lock is finished.
    pub(super) fn resolved(&mut self, mut work: Work, response: &ResolveLockResponse) {
        if response.error.is_some() {
            return self.pause(work);
        }
        work.locks.remove(0);
        self.clear(work);
    }
}
