//! Giving up, and cleaning up after oneself.

use proto::kvrpcpb::BatchRollbackRequest;

use super::work::Job;
use super::{Client, Key, Outcome, Request};
use crate::TimeStamp;

impl Client {
    /// The transaction has failed for certain: tell the user, and roll back in the background.
    ///
    /// You will need [`Job::Rollback`] and `self.end`. Which keys? Not only those whose prewrite was answered with yes: a
    /// prewrite that is still on its way would leave a lock, and the rollback's record is what stops it.
    pub(super) fn abort(&mut self, why: String) {
        // BEGIN SOLUTION 4D.rollback
        let keys: Vec<Key> = self.txn.writes.keys().cloned().collect();
        self.start(Job::Rollback(self.txn.start_ts), keys);
        self.end(Outcome::Aborted(why));
        // END SOLUTION
    }

    /// The order to roll these keys back.
    pub(super) fn rollback_request(start_ts: TimeStamp, keys: &[Key]) -> Request {
        Request::BatchRollback(BatchRollbackRequest {
            start_version: start_ts.get(),
            keys: keys.iter().map(|key| key.clone().into()).collect(),
            ..Default::default()
        })
    }
}
