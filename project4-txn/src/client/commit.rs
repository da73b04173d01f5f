//! Phase two: the primary's commit is the transaction's.

use proto::kvrpcpb::{CommitRequest, CommitResponse};

use super::prewrite::reason;
use super::work::Job;
use super::{Client, Key, Outcome, Phase, Request};
use crate::TimeStamp;

impl Client {
    /// All keys are locked, and the oracle has given a timestamp: commit the primary, and nothing else yet.
    ///
    /// You will need [`Phase::Committing`], [`Job::CommitPrimary`] and `self.txn.primary`. If an earlier commit of the primary
    /// is without an answer, that is not forgotten.
    pub(super) fn commit_at(&mut self, commit_ts: TimeStamp) {
        // BEGIN SOLUTION 4D.commit
        let unsure = matches!(
            self.phase,
            Phase::Committing { unsure: true } | Phase::Prewriting { unsure: true, .. }
        );
        self.phase = Phase::Committing { unsure };
        let primary: Vec<Key> = self.txn.primary.iter().cloned().collect();
        self.start(Job::CommitPrimary(commit_ts), primary);
        // END SOLUTION
    }

    /// The order to commit these keys.
    pub(super) fn commit_request(start_ts: TimeStamp, at: TimeStamp, keys: &[Key]) -> Request {
        Request::Commit(CommitRequest {
            start_version: start_ts.get(),
            commit_version: at.get(),
            keys: keys.iter().map(|key| key.clone().into()).collect(),
            ..Default::default()
        })
    }

    /// The primary's store has answered.
    ///
    /// You will need [`Job::CommitRest`] for the other keys, at the timestamp that the *response* tells (an earlier attempt may
    /// have committed at another), then `self.end`. `commit_ts_expired`: a reader was promised that nothing is committed so
    /// early, so a new timestamp is needed ([`Job::TimeToCommit`]). Any other error: there is no lock and no commit, so others
    /// have rolled the transaction back, for good: `self.abort`. A message of ours that is still on its way finds no lock either.
    pub(super) fn primary_committed(&mut self, response: &CommitResponse) {
        // BEGIN SOLUTION 4D.commit
        match &response.error {
            None => {
                let commit_ts = TimeStamp::new(response.commit_version);
                let (start_ts, primary) = (self.txn.start_ts, self.txn.primary.clone());
                let rest = self.txn.writes.keys().filter(|key| Some(*key) != primary.as_ref());
                let rest: Vec<Key> = rest.cloned().collect();
                if !rest.is_empty() {
                    self.start(Job::CommitRest(start_ts, commit_ts), rest);
                }
                self.end(Outcome::Committed(commit_ts));
            }
            Some(error) if error.commit_ts_expired.is_some() => {
                self.start(Job::TimeToCommit, Vec::new());
            }
            Some(error) => self.abort(reason(error)),
        }
        // END SOLUTION
    }
}
