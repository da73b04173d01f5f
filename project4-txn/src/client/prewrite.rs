//! Phase one: a lock on every key that will be written.

use proto::kvrpcpb::{KeyError, LockInfo, Mutation, Op, PrewriteRequest, PrewriteResponse};

use super::work::{Job, Work};
use super::{Client, Key, Outcome, Phase, Request};

impl Client {
    /// Begins to prewrite all keys, in all regions at once.
    pub(super) fn prewrite(&mut self) {
        let keys: Vec<Key> = self.txn.writes.keys().cloned().collect();
        self.phase = Phase::Prewriting { left: keys.iter().cloned().collect(), unsure: false };
        self.start(Job::Prewrite, keys);
    }

    /// Whether a prewrite of these keys is to commit them at once: they are all that the transaction writes, and lie in
    /// one region, or they would have been cut.
    pub(super) fn in_one_phase(&self, keys: &[Key]) -> bool {
        self.config.one_pc && keys.len() == self.txn.writes.len()
    }

    /// The request for a part of the keys.
    ///
    /// You will need [`Mutation`] with `Op::Put` or `Op::Del`, `self.txn` and `self.in_one_phase`. Every lock names the primary,
    /// and says how long its owner may be silent: the configured time, and on top of it the age that the transaction has
    /// already (`self.now`, `self.txn.began`), since others count from its start.
    pub(super) fn prewrite_request(&self, keys: &[Key]) -> Request {
        // BEGIN SOLUTION 4D.prewrite
        let mutation = |key: &Key| {
            let value = self.txn.writes.get(key).cloned().flatten();
            Mutation {
                op: if value.is_some() { Op::Put } else { Op::Del }.into(),
                key: key.clone().into(),
                value: value.unwrap_or_default().into(),
                ..Default::default()
            }
        };
        Request::Prewrite(PrewriteRequest {
            mutations: keys.iter().map(mutation).collect(),
            primary_lock: self.txn.primary.clone().unwrap_or_default().into(),
            start_version: self.txn.start_ts.get(),
            lock_ttl: self.config.lock_ttl + self.now.saturating_sub(self.txn.began),
            txn_size: self.txn.writes.len() as u64,
            try_one_pc: self.in_one_phase(keys),
            ..Default::default()
        })
        // END SOLUTION
    }

    /// A part of the keys was prewritten, or was not.
    ///
    /// You will need `split_errors`, `self.clear` and `Work::met` for locks, `self.abort` for everything else (`reason`). If all is well:
    /// [`Phase::Prewriting`] knows which keys are left, and when none is, it is time for [`Job::TimeToCommit`]. A response with
    /// a `one_pc_commit_ts` has committed everything: `self.end`.
    pub(super) fn prewritten(&mut self, work: Work, response: &PrewriteResponse) {
        // BEGIN SOLUTION 4D.prewrite
        let (locks, fatal) = split_errors(&response.errors);
        if let Some(error) = fatal {
            return self.abort(reason(error));
        }
        if !locks.is_empty() {
            return self.clear(work.met(locks));
        }
        if response.one_pc_commit_ts != 0 {
            return self.end(Outcome::Committed(response.one_pc_commit_ts.into()));
        }
        let Phase::Prewriting { left, .. } = &mut self.phase else { return };
        for key in &work.keys {
            left.remove(key);
        }
        if left.is_empty() {
            self.start(Job::TimeToCommit, Vec::new());
        }
        // END SOLUTION
    }
}

/// The locks that a prewrite met, and the first error that no waiting helps against.
fn split_errors(errors: &[KeyError]) -> (Vec<LockInfo>, Option<&KeyError>) {
    let locks = errors.iter().filter_map(|error| error.locked.clone()).collect();
    (locks, errors.iter().find(|error| error.locked.is_none()))
}

/// Why a store refuses, for the user.
pub(super) fn reason(error: &KeyError) -> String {
    if let Some(conflict) = &error.conflict {
        let key = conflict.key.escape_ascii();
        return match conflict.conflict_commit_ts {
            0 => format!("it was rolled back on {key}"),
            at => format!("{key} was written by {}, committed at {at}", conflict.conflict_ts),
        };
    }
    [&error.abort, &error.retryable]
        .into_iter()
        .find(|text| !text.is_empty())
        .cloned()
        .unwrap_or_else(|| format!("{error:?}"))
}
