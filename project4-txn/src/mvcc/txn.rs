//! What one transaction wants to change, collected.

use standalone::Modify;
use standalone::engine::{CF_DEFAULT, CF_LOCK, CF_WRITE};

use super::{Lock, Write, key};
use crate::TimeStamp;

/// The changes of one transaction, in the order in which they were made. Nothing happens before somebody
/// writes them, as one batch.
///
/// Each method is one change of one column family: see the table in [`mvcc`](super).
#[derive(Debug)]
pub struct MvccTxn {
    /// The transaction.
    pub start_ts: TimeStamp,
    modifies: Vec<Modify>,
}

impl MvccTxn {
    /// No change yet, of the transaction that started at `start_ts`.
    pub fn new(start_ts: TimeStamp) -> Self {
        MvccTxn { start_ts, modifies: Vec::new() }
    }

    /// The changes.
    pub fn into_modifies(self) -> Vec<Modify> {
        self.modifies
    }

    /// Locks `key`, or changes its lock.
    pub fn put_lock(&mut self, key: &[u8], lock: &Lock) {
        // BEGIN SOLUTION 4A.txn
        self.modifies.push(Modify::Put {
            cf: CF_LOCK,
            key: key::lock_key(key),
            value: lock.to_bytes(),
        });
        // END SOLUTION
    }

    /// Removes the lock of `key`.
    pub fn unlock(&mut self, key: &[u8]) {
        // BEGIN SOLUTION 4A.txn
        self.modifies.push(Modify::Delete { cf: CF_LOCK, key: key::lock_key(key) });
        // END SOLUTION
    }

    /// Adds this transaction's value of `key`. Nobody sees it before there is a record that points to it.
    pub fn put_value(&mut self, key: &[u8], value: Vec<u8>) {
        // BEGIN SOLUTION 4A.txn
        let key = key::version_key(key, self.start_ts);
        self.modifies.push(Modify::Put { cf: CF_DEFAULT, key, value });
        // END SOLUTION
    }

    /// Removes this transaction's value of `key`.
    pub fn delete_value(&mut self, key: &[u8]) {
        // BEGIN SOLUTION 4A.txn
        let key = key::version_key(key, self.start_ts);
        self.modifies.push(Modify::Delete { cf: CF_DEFAULT, key });
        // END SOLUTION
    }

    /// Adds a record of `key` at `commit_ts`, or replaces the one that is there.
    pub fn put_write(&mut self, key: &[u8], commit_ts: TimeStamp, write: &Write) {
        // BEGIN SOLUTION 4A.txn
        let key = key::version_key(key, commit_ts);
        self.modifies.push(Modify::Put { cf: CF_WRITE, key, value: write.to_bytes() });
        // END SOLUTION
    }

    /// Removes the record of `key` at `commit_ts`: for garbage collection, and for nobody else.
    pub fn delete_write(&mut self, key: &[u8], commit_ts: TimeStamp) {
        let key = key::version_key(key, commit_ts);
        self.modifies.push(Modify::Delete { cf: CF_WRITE, key });
    }
}
