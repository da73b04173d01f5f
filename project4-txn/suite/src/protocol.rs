//! What the judge says to a store with transactions, and what the store says back.
//!
//! The store's handlers run on an executor whose choices follow from a seed. They run until all of them are done or
//! wait; who waits (for a lock, for a timestamp) goes on when a later input gives it what it waits for. So a call has
//! a number, and its answer comes with whichever input completes it.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::disk::DiskOp;
use sim::seam::Protocol;

/// The vocabulary of stages 4A to 4C.
pub struct Txn;

impl Protocol for Txn {
    type Input = Input;
    type Effect = Effect;
}

/// Which storage stands behind the handlers. Whatever it is, it lets others run before and after each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// An engine on the simulated disk.
    Disk,
    /// A map in memory.
    Memory,
}

/// A column family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cf {
    /// `default`
    Default,
    /// `lock`
    Lock,
    /// `write`
    Write,
}

/// The column families.
pub const CFS: [Cf; 3] = [Cf::Default, Cf::Lock, Cf::Write];

/// One change of a batch, in engine keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Set a key.
    Put(Cf, Vec<u8>, #[serde(with = "serde_bytes")] Vec<u8>),
    /// Remove a key.
    Delete(Cf, Vec<u8>),
    /// Remove all keys from the first (inclusive) to the second (exclusive).
    DeleteRange(Cf, Vec<u8>, Vec<u8>),
}

/// What goes wrong in the storage behind the handlers, once, at the next call.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Fault {
    /// The region is led by somebody else: `region_error.not_leader`.
    NotLeader,
    /// The next *write* happens, and is reported as a failed disk.
    WriteWithoutAnswer,
    /// The next *write* does not happen, and is reported as a failed disk.
    WriteLost,
}

/// A step of `MvccTxn`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    /// `put_lock`, with the lock of these bytes.
    PutLock(Vec<u8>, ByteBuf),
    /// `unlock`
    Unlock(Vec<u8>),
    /// `put_value`
    PutValue(Vec<u8>, ByteBuf),
    /// `delete_value`
    DeleteValue(Vec<u8>),
    /// `put_write` at a commit timestamp, with the record of these bytes.
    PutWrite(Vec<u8>, u64, ByteBuf),
}

/// A question to `MvccReader`, about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// `load_lock`
    Lock,
    /// `seek_write` at a timestamp.
    SeekWrite(u64),
    /// `seek_change` at a timestamp.
    SeekChange(u64),
    /// `get_value` at a timestamp.
    Value(u64),
    /// `find_record` of a transaction.
    Record(u64),
    /// `newest_commit`
    NewestCommit,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// There is none.
    Nothing,
    /// A lock's or a value's bytes.
    Bytes(ByteBuf),
    /// A record, and its commit timestamp.
    Write(u64, ByteBuf),
    /// The transaction was rolled back.
    RolledBack,
}

/// What the judge says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Input {
    /// Start the store.
    Open {
        /// What stands behind the handlers.
        backend: Backend,
        /// The bytes of the disk; none: a new one. Ignored by [`Backend::Memory`].
        #[serde(with = "serde_bytes")]
        disk: Vec<u8>,
        /// Decides who goes first, from now on.
        seed: u64,
    },
    /// The storage's term is this from now on; writes that were computed in another are refused.
    SetTerm(u64),
    /// The next call of the storage fails in this way.
    Fail(Fault),
    /// So many milliseconds pass.
    Pass(u64),
    /// This store has begun to lead a region: its `max_ts` is out of date.
    Unsync {
        /// The region.
        region: u64,
        /// Which leadership.
        leadership: u64,
    },
    /// The oracle has handed out a timestamp since.
    Sync {
        /// The region.
        region: u64,
        /// Which leadership.
        leadership: u64,
        /// The timestamp.
        ts: u64,
    },
    /// Put this into the storage, behind the handlers' back.
    Load(Vec<Change>),
    /// Show all transactional data.
    Look,
    /// Encode this key, and a version of it; decode what comes out.
    Key(Vec<u8>, u64),
    /// What does the transaction with this start write, for these steps?
    Steps(u64, Vec<Step>),
    /// Questions about a key, all through one reader.
    Ask(Vec<u8>, Vec<Question>),
    /// Begin these calls, in one instant: number, name of the RPC, encoded request.
    Calls(Vec<(u64, String, ByteBuf)>),
    /// How many operations of the storage's readers were there since the last time?
    Count,
}

/// An error, as plain values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Its text.
    pub text: String,
    /// `Error::is_definite`
    pub definite: bool,
}

/// What the store says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Effect {
    /// It did this to its disk, before what follows in the list.
    Disk(DiskOp),
    /// An [`Input`] that gives nothing was carried out.
    Done(Result<(), Trouble>),
    /// All transactional data, in the order of families and keys.
    Rows(Vec<(Cf, Vec<u8>, ByteBuf)>),
    /// The lock's key, the version's key, and what decoding the latter gives.
    Key(Vec<u8>, Vec<u8>, Result<(Vec<u8>, u64), Trouble>),
    /// What the steps write.
    Changes(Vec<Change>),
    /// The answers, in the order of the questions.
    Facts(Vec<Result<Fact, Trouble>>),
    /// The answer to the call of this number; `Err` is a gRPC status' text.
    Answer(u64, Result<ByteBuf, Trouble>),
    /// How many calls wait now.
    Waiting(u32),
    /// Operations of readers: gets, and moves of cursors.
    Operations(u64),
}
