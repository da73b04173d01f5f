//! What each transactional call decides (stages 4B and 4C).
//!
//! Percolator's idea: a transaction over many keys, on many machines, hangs on *one* key, its primary. First
//! every key is locked, with its new value beside the lock (*prewrite*). Then the primary's lock is replaced
//! by a commit record; with that one write the transaction has happened. The other locks are
//! commit records in all but name: whoever meets one asks at the primary, and finishes the work.
//!
//! ```text
//!            a (primary)         b                    c
//! prewrite   lock@10, value      lock@10 -> a         lock@10 -> a
//! commit     write@12 (10)       lock@10 -> a         lock@10 -> a      <- from here on it has happened
//! later      write@12 (10)       write@12 (10)        write@12 (10)
//! ```
//!
//! Each command is a plain function: a reader and a request in, changes and a response out. It waits for
//! nothing, holds nothing, and knows no clock; what surrounds it (latches, the storage, waiting) is
//! [`TxnApi`](crate::TxnApi)'s. So a command can be read, and tested, alone.
//!
//! | file | commands |
//! |---|---|
//! | `get.rs` | Get, BatchGet |
//! | `scan.rs` | Scan |
//! | `prewrite.rs`, `prewrite_pessimistic.rs` | Prewrite: optimistic, pessimistic, async commit, one-phase commit |
//! | `commit.rs` | Commit |
//! | `rollback.rs` | BatchRollback, Cleanup, PessimisticRollback |
//! | `status.rs` | CheckTxnStatus, TxnHeartBeat, CheckSecondaryLocks |
//! | `resolve.rs` | ResolveLock, ScanLock |
//! | `pessimistic.rs` | PessimisticLock |
//! | `finish.rs` | what became of an async-commit transaction |
//! | `gc.rs` | GC, DeleteRange |
//! | `inspect.rs` | MvccGetByKey |
//!
//! # Invariants
//!
//! - *All or nothing.* A command that answers with an error has no changes.
//! - *Idempotent, in every order.* Messages come twice, late, and after their opposite. A prewrite after the
//!   rollback of the same transaction fails, for ever; a rollback after its commit fails, for ever; a second
//!   commit succeeds and changes nothing. The records in `write` are what makes that possible.
//! - *Errors are TiKV's.* Official clients act on the variant of the `KeyError`.

mod commit;
mod errors;
mod finish;
mod gc;
mod get;
mod inspect;
mod pessimistic;
mod prewrite;
mod prewrite_pessimistic;
mod resolve;
mod rollback;
mod scan;
mod status;

use standalone::Modify;

pub use commit::commit;
pub use finish::{Fate, absent_primary, async_fate, is_outlived, outlived};
pub use gc::{Garbage, collect, delete_range, garbage};
pub use get::{batch_get, get};
pub use inspect::mvcc_info;
pub use pessimistic::{Locking, pessimistic_lock};
pub use prewrite::prewrite;
pub use resolve::{find_locks, resolve_lock, scan_lock};
pub use rollback::{batch_rollback, cleanup, pessimistic_rollback};
pub use scan::scan;
pub use status::{check_secondary_locks, check_txn_status, txn_heart_beat};

/// What a command decided: these changes, and this answer once they are durable.
#[derive(Debug)]
pub struct Decided<R> {
    /// One batch, in its order. Empty: nothing is to be written.
    pub modifies: Vec<Modify>,
    /// What to answer then.
    pub response: R,
}

impl<R> Decided<R> {
    /// These changes and this answer.
    pub fn new(modifies: Vec<Modify>, response: R) -> Self {
        Decided { modifies, response }
    }

    /// An answer, and no change.
    pub fn only(response: R) -> Self {
        Decided { modifies: Vec::new(), response }
    }
}
