//! The seam of the whole course: write a batch, or get something to read from.
//!
//! Handlers know [`Storage`] and nothing behind it. Here it is an engine on one disk
//! ([`StandaloneStorage`]) or a map in memory ([`MemStorage`]); in project 2 a write goes through a
//! replicated log first, in project 3 to one of many regions. Both methods are `async` because there
//! they wait for a majority; here they have nothing to wait for.
//!
//! # The contract
//!
//! - [`Storage::write`] is all or nothing. When it returns `Ok`, the batch is durable, and every reader
//!   asked for from now on sees it. When it returns an error that is *definite*
//!   ([`Error::is_definite`](crate::Error::is_definite)) it did not happen and will not; after any other
//!   error it may have happened, or may still.
//! - [`Storage::reader`] sees every write that was acknowledged before it was asked for, and nothing
//!   that is written after it was returned.
//! - Both may be dropped while they wait. A dropped write is as uncertain as an indefinite error.
//!
//! The `Context` comes from the request: it names the region and the epoch that the client believes
//! in. A storage without regions ignores it.
//!
//! # Why a reader has a term
//!
//! Replicated, a handler that reads, computes and writes (compare-and-swap) could read under one leader
//! and write under the next, and so undo a write it never saw. So a reader tells the term it was opened
//! in, the handler puts it into the context of its write, and a peer refuses a write from another term.
//! Latches cannot do this: they are this machine's.

mod engine_reader;
mod mem;
mod standalone;

use std::future::Future;

use proto::kvrpcpb::Context;

use crate::Result;
use crate::engine::{CfName, Direction};
use crate::keys::KeyRange;

pub use engine_reader::EngineReader;
pub use mem::{MemReader, MemStorage};
pub use standalone::StandaloneStorage;

/// One change of a batch. Keys are engine keys ([`keys`](crate::keys)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modify {
    /// Set `key` to `value`.
    Put {
        /// The column family.
        cf: CfName,
        /// The key.
        key: Vec<u8>,
        /// The value; may be empty, which is not the same as absent.
        value: Vec<u8>,
    },
    /// Remove `key`; no matter if it is absent.
    Delete {
        /// The column family.
        cf: CfName,
        /// The key.
        key: Vec<u8>,
    },
    /// Remove every key of `range`.
    DeleteRange {
        /// The column family.
        cf: CfName,
        /// The keys.
        range: KeyRange,
    },
}

/// Where data is: see the module for the contract.
pub trait Storage: Send + Sync + 'static {
    /// What [`Storage::reader`] gives.
    type Reader: StorageReader;

    /// Writes `batch`, in its order and as a whole.
    ///
    /// # Errors
    /// See the contract in the module's documentation.
    fn write(
        &self,
        context: &Context,
        batch: Vec<Modify>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The data as it is now.
    ///
    /// # Errors
    /// A reader that cannot be had, for instance because this is not the region's leader.
    fn reader(&self, context: &Context) -> impl Future<Output = Result<Self::Reader>> + Send;
}

/// One moment of the data, unchanged by later writes.
pub trait StorageReader: Send + 'static {
    /// The value of `key`; `None` when it is absent.
    ///
    /// # Errors
    /// An unknown column family, or local damage.
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// A cursor over `range`, which stands before the first pair in its direction. It is valid for as
    /// long as it lives, whether or not the reader is dropped.
    ///
    /// # Errors
    /// As [`StorageReader::get_cf`].
    fn iter_cf(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<DynCursor>;

    /// The term in which this reader was opened; 0 where there are no terms. See the module.
    fn term(&self) -> u64 {
        0
    }
}

/// A position in a range; the contract of each method is that of [`engine::Cursor`](crate::engine::Cursor).
pub trait Cursor: Send {
    /// Goes to the next pair in the direction of travel; false at the end of the range.
    ///
    /// # Errors
    /// Local damage.
    fn advance(&mut self) -> Result<bool>;

    /// Goes to the first pair at or beyond `key` in the direction of travel; false when there is none.
    ///
    /// # Errors
    /// Local damage.
    fn seek(&mut self, key: &[u8]) -> Result<bool>;

    /// The key that the cursor stands on.
    ///
    /// # Panics
    /// When the last move did not return true.
    fn key(&self) -> &[u8];

    /// The value that the cursor stands on.
    ///
    /// # Panics
    /// When the last move did not return true.
    fn value(&self) -> &[u8];
}

/// A cursor of any storage.
pub type DynCursor = Box<dyn Cursor>;

impl Cursor for crate::engine::Cursor {
    fn advance(&mut self) -> Result<bool> {
        self.advance()
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.seek(key)
    }

    fn key(&self) -> &[u8] {
        self.key()
    }

    fn value(&self) -> &[u8] {
        self.value()
    }
}
