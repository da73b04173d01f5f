//! What the judge says to a standalone store, and what the store says back.
//!
//! Long byte strings are marked as bytes (`serde_bytes`): a disk image crosses the pipe at each restart, and
//! serde would otherwise take it for a list of a million numbers.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::disk::DiskOp;
use sim::seam::Protocol;

/// The vocabulary of stage 1.
pub struct Standalone;

impl Protocol for Standalone {
    type Input = Input;
    type Effect = Effect;
}

/// Which storage stands behind the handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// The student's `StandaloneStorage`, on an engine on the simulated disk.
    Standalone,
    /// The given `MemStorage`.
    Memory,
}

/// A column family, or a name that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cf {
    /// `default`
    Default,
    /// `lock`
    Lock,
    /// `write`
    Write,
    /// A column family that the engine was not opened with.
    Unknown,
}

/// The column families that exist.
pub const CFS: [Cf; 3] = [Cf::Default, Cf::Lock, Cf::Write];

/// One change of a batch, in engine keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Change {
    /// Set a key.
    Put(Cf, Vec<u8>, #[serde(with = "serde_bytes")] Vec<u8>),
    /// Remove a key.
    Delete(Cf, Vec<u8>),
    /// Remove all keys from the first (inclusive) to the second (exclusive).
    DeleteRange(Cf, Vec<u8>, Vec<u8>),
}

/// One move of a cursor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Move {
    /// `advance()`
    Advance,
    /// `seek(key)`
    Seek(Vec<u8>),
}

/// What goes wrong in the storage behind the handlers, once, at the next call.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Fault {
    /// The region is led by somebody else: `region_error.not_leader`.
    NotLeader,
    /// The disk fails: nobody knows whether it happened.
    Disk,
}

/// What the judge says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Input {
    /// Start the store on a disk with these bytes (none: a new one).
    Open {
        /// What stands behind the handlers.
        backend: Backend,
        /// The bytes of the disk; ignored by [`Backend::Memory`].
        #[serde(with = "serde_bytes")]
        disk: Vec<u8>,
    },
    /// It is this second now.
    SetClock(u64),
    /// The storage's term is this from now on; writes that were computed in another are refused.
    SetTerm(u64),
    /// The storage serves this region only, and no other that a context names.
    Serve(u64),
    /// The next call of the storage fails in this way.
    Fail(Fault),
    /// `Storage::write`
    Write(Vec<Change>),
    /// `Storage::reader`; the reader is kept under this number.
    OpenReader(u32),
    /// `get_cf` of a kept reader.
    Get {
        /// The reader's number.
        reader: u32,
        /// The column family.
        cf: Cf,
        /// The engine key.
        key: Vec<u8>,
    },
    /// `iter_cf` of a kept reader, then these moves.
    Walk {
        /// The reader's number.
        reader: u32,
        /// The column family.
        cf: Cf,
        /// First key of the range.
        start: Vec<u8>,
        /// First key beyond the range.
        end: Vec<u8>,
        /// From the end to the start.
        reverse: bool,
        /// What to do.
        moves: Vec<Move>,
    },
    /// Raw calls, begun together; whenever one calls the storage, this seed decides who goes on.
    Calls {
        /// Decides the order.
        seed: u64,
        /// The name of the RPC, and the encoded request.
        calls: Vec<(String, ByteBuf)>,
    },
}

/// An error of the storage, as plain values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageError {
    /// Its text.
    pub text: String,
    /// `Error::is_definite`
    pub definite: bool,
}

/// A pair that a cursor stands on; `None` when the move returned false.
pub type Pair = Option<(Vec<u8>, Vec<u8>)>;

/// What the store says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Effect {
    /// It did this to its disk, before what follows in the list.
    Disk(DiskOp),
    /// An [`Input`] that gives nothing was carried out.
    Done(Result<(), StorageError>),
    /// The result of a get.
    Value(Result<Option<ByteBuf>, StorageError>),
    /// The pairs of a walk, one for each move.
    Walked(Result<Vec<Pair>, StorageError>),
    /// The answer to the call at this place of the list; `Err` is a gRPC status' text.
    Answer(u32, Result<ByteBuf, StorageError>),
    /// This many calls never came to an end.
    Stuck(u32),
}
