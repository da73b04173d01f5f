//! Reading one moment, through locks.

use std::collections::{BTreeMap, BTreeSet};

use proto::kvrpcpb::{BatchGetRequest, BatchGetResponse, LockInfo};

use super::work::{Job, Work};
use super::{Client, Key, Outcome, Phase, Request};

impl Client {
    /// Begins to read keys. Those that the transaction has written itself are known already.
    pub(super) fn read(&mut self, keys: &[Key]) {
        let mut found = BTreeMap::new();
        let mut left = BTreeSet::new();
        for key in keys {
            match self.txn.writes.get(key) {
                Some(own) => {
                    found.insert(key.clone(), own.clone());
                }
                None => {
                    left.insert(key.clone());
                }
            }
        }
        let ask: Vec<Key> = left.iter().cloned().collect();
        self.phase = Phase::Reading { left, found };
        if ask.is_empty() {
            self.finish_reading();
        } else {
            self.start(Job::Read, ask);
        }
    }

    /// The request for a part of the keys.
    pub(super) fn read_request(&self, keys: &[Key]) -> Request {
        Request::BatchGet(BatchGetRequest {
            keys: keys.iter().map(|key| key.clone().into()).collect(),
            version: self.txn.start_ts.get(),
            ..Default::default()
        })
    }

    /// A part of the keys was read.
    ///
    /// You will need `locks_of` and `self.clear` for a part that met locks (nothing of it counts then), `Work::met`, [`Phase::Reading`],
    /// and `finish_reading` when no key is left. A key that the response leaves out is absent.
    pub(super) fn have_read(&mut self, work: Work, response: &BatchGetResponse) {
        // BEGIN SOLUTION 4D.read
        let locks = locks_of(response);
        if !locks.is_empty() {
            return self.clear(work.met(locks));
        }
        let Phase::Reading { left, found } = &mut self.phase else { return };
        for key in work.keys {
            let pair = response.pairs.iter().find(|pair| pair.key[..] == key[..]);
            left.remove(&key);
            found.insert(key, pair.map(|pair| pair.value.to_vec()));
        }
        if left.is_empty() {
            self.finish_reading();
        }
        // END SOLUTION
    }

    /// Everything is there.
    fn finish_reading(&mut self) {
        let Phase::Reading { found, .. } = std::mem::replace(&mut self.phase, Phase::Active) else {
            return;
        };
        self.done(Outcome::Read(found));
    }
}

/// The locks that a read met: of single keys, or of the whole request.
fn locks_of(response: &BatchGetResponse) -> Vec<LockInfo> {
    let errors = response.pairs.iter().filter_map(|pair| pair.error.as_ref());
    errors.chain(&response.error).filter_map(|error| error.locked.clone()).collect()
}
