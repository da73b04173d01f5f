//! Proposals: how an entry gets into the log (paper, 5.3).
//!
//! A proposal only *appends*: it returns when the entry stands in the leader's log, long before it is
//! committed. Whether it ever is, the proposer learns when an entry is applied at its index: if that is of
//! another term, the proposal is gone. Nothing is sent at once; the next Ready sends what has come together,
//! one append a follower, however many proposals came.
//!
//! Back-pressure: what a leader has proposed and not committed yet lies in its memory and on its way to
//! others. Beyond `Config::max_uncommitted_size`, proposals are dropped, and the proposer tries later.

use std::mem;

use bytes::Bytes;
use proto::eraftpb::{Entry, EntryType, Message, MessageType};

use crate::error::{Error, Result};
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::{NOBODY, message, size_of};

impl<S: Storage> Raft<S> {
    /// *Seam.* Proposes an entry of any type. On a follower, passes it on to the leader: then `Ok` says no
    /// more than that it was sent.
    ///
    /// # Errors
    /// [`Error::NoLeader`], [`Error::NotAMember`] or [`Error::ProposalDropped`]; surely nothing was
    /// appended.
    pub fn propose_entry(&mut self, kind: EntryType, context: Bytes, data: Bytes) -> Result<()> {
        let entry = Entry { entry_type: kind.into(), context, data, ..Default::default() };
        if self.role == Role::Leader {
            return self.append_proposals(&mut [entry]);
        }
        if self.leader_id == NOBODY {
            return Err(Error::NoLeader { term: self.term });
        }
        let forward = message(MessageType::MsgPropose, self.leader_id);
        self.send(Message { entries: vec![entry], ..forward });
        Ok(())
    }

    /// A follower has passed proposals on. They are not passed on again, so that nothing goes in circles.
    pub(crate) fn handle_forwarded_proposal(&mut self, mut m: Message) -> Result<()> {
        if self.role != Role::Leader {
            return Err(Error::NoLeader { term: self.term });
        }
        self.append_proposals(&mut m.entries)
    }

    /// Appends proposals to this leader's log: all of them, or none. The entries are taken out of the slice.
    ///
    /// You will need `append_own`, `size_of` and `uncommitted_size`. A leader that is no member any more
    /// proposes nothing. One proposal always finds room, however large; else it could never be made.
    pub(crate) fn append_proposals(&mut self, entries: &mut [Entry]) -> Result<()> {
        // BEGIN SOLUTION 2AB.propose
        if !self.progress.contains_key(&self.id) {
            return Err(Error::NotAMember);
        }
        let (waiting, limit) = (self.uncommitted_size, self.config.max_uncommitted_size);
        let size = size_of(entries);
        if waiting > 0 && size > 0 && waiting.saturating_add(size) > limit {
            return Err(Error::ProposalDropped { waiting, limit });
        }
        self.uncommitted_size = waiting.saturating_add(size);
        for entry in entries {
            self.append_own(mem::take(entry));
        }
        Ok(())
        // END SOLUTION
    }

    /// Puts an entry at the end of this leader's log, as its own.
    fn append_own(&mut self, entry: Entry) {
        let index = self.log.last_index() + 1;
        self.log.append(Entry { term: self.term, index, ..entry });
    }

    /// A leader that was elected just now opens its term. A driver calls it after whatever may have happened.
    pub fn settle(&mut self) {
        if self.opening {
            self.open_term();
        }
    }

    /// Writes the first entry of this leader's term: an empty one.
    ///
    /// You will need `append_own`, and `opening`, which says that it is still to be done.
    fn open_term(&mut self) {
        // BEGIN SOLUTION 2AB.open_term
        self.opening = false;
        // 5.4.2 and 8: entries of earlier terms are committed only by way of one of this term. Without it
        // they would wait for the next client, and so would every read.
        self.append_own(Entry::default());
        // END SOLUTION
    }

    /// How much of these committed entries this leader has counted as waiting.
    pub fn own_size(&self, entries: &[Entry]) -> u64 {
        if self.role != Role::Leader {
            return 0;
        }
        let own = entries.partition_point(|entry| entry.index <= self.inherited);
        size_of(&entries[own..])
    }

    /// That much waits no more: it was handed out to be applied.
    pub fn release(&mut self, size: u64) {
        self.uncommitted_size = self.uncommitted_size.saturating_sub(size);
    }
}
