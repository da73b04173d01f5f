//! The Ready: everything that a node wants done, in one value.
//!
//! A driver that holds a [`RawNode`](crate::RawNode) does this, over and over:
//!
//! ```text
//! loop {
//!     tick, step, propose ...                     // whatever happens
//!     if !node.has_ready() { continue }
//!     let mut ready = node.ready()?;
//!     send(take(&mut ready.messages));            // at once: the disk may take its time
//!     store(ready.snapshot, ready.entries, ready.hard_state);   // readable from here on
//!     let number = ready.number;
//!     let after = take(&mut ready.persisted_messages);
//!     apply(take(&mut ready.committed_entries));  // then advance_apply_to, now or later
//!     node.advance_append_async(ready);           // the node may go on: more Readys may follow
//!     when the disk has it {                      // sync if must_sync, in the order of numbers
//!         send(after);
//!         node.on_persist_ready(number)?;
//!     }
//! }
//! ```
//!
//! A driver that has nothing else to do while its disk writes calls `advance_append`, or `advance` if it has
//! applied as well, in place of the last three.
//!
//! # Who may speak before the disk has written
//!
//! Raft's answers are promises, and a promise that a crash makes forgotten breaks the group. Two rules:
//!
//! - *Nothing leaves under a term or a vote that is not durable here.* So all messages of a Ready wait, if term
//!   or vote have changed since the last Ready known to be durable: a candidate's requests, a vote, and all
//!   that the leader of a group of one says in the Ready that elected it.
//! - *"I have these entries" waits for the entries.* So a MsgAppendResponse always waits.
//!
//! Everything else may leave at once. What a leader sends, above all: its own disk and its followers' write
//! at the same time (thesis 10.2.1), and its own copy counts when it is there.
//!
//! # Invariants
//!
//! - Taking a Ready moves nothing but the messages and read states out: whoever drops one, because its disk
//!   failed, gets the same entries again. Advancing it moves the cursors, by what *that* Ready held.
//! - Readys become durable in the order of their numbers.
//!
//! raft-rs's `advance_append` returns a `LightReady`, with what became known meanwhile. Here that waits for the
//! next Ready: one thing less to learn, one loop more.

use proto::eraftpb::{Entry, HardState, Message, Snapshot};

use crate::raft::SoftState;
use crate::read::ReadState;

/// What a driver has to do. The fields may be taken out; [`number`](Self::number) says which Ready it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ready {
    /// Rises with each Ready that is taken.
    pub number: u64,
    /// Role or leader have changed.
    pub soft_state: Option<SoftState>,
    /// To be stored: term, vote or commit index have changed.
    pub hard_state: Option<HardState>,
    /// Reads that may be served once their index is applied.
    pub read_states: Vec<ReadState>,
    /// To be installed and stored, in the place of the whole log, before `entries`. Its metadata hold the
    /// members that count from now on. Applied, too, by that: `advance_apply_to` its index.
    pub snapshot: Option<Snapshot>,
    /// To be stored: they replace what the log holds from the first one's index on.
    pub entries: Vec<Entry>,
    /// Whether what is to be stored must be durable before `persisted_messages` leave. A new commit index
    /// alone need not be: it is found again.
    pub must_sync: bool,
    /// To be sent at once.
    pub messages: Vec<Message>,
    /// To be sent when this Ready, and all before it, are durable.
    pub persisted_messages: Vec<Message>,
    /// To be applied, in this order. They are durable already.
    pub committed_entries: Vec<Entry>,
}
