//! A node as its driver sees it: what may happen to it, and the Readys that come out.
//!
//! [`Raft`] decides; this module remembers what the driver was told and what it has done about it. The
//! contract is in [`ready`](crate::ready). For each Ready there is a record, from the time that it is taken to
//! the time that it is durable:
//!
//! ```text
//!   ready()              advance_append_async()            on_persist_ready(n)
//!      |  taken                  |  in flight: 1 or many           |
//!      +---- the storage is -----+---- the disk is still ----------+---- forgotten
//!            not written               writing
//! ```
//!
//! # Invariants
//!
//! - A Ready is advanced before the next one is advanced, and the one that was taken last.
//! - `handed_out` never falls, and is what the driver was given to apply.

use std::collections::VecDeque;

use bytes::Bytes;
use proto::eraftpb::{ConfState, EntryType, HardState, Message};

use crate::config::Config;
use crate::election::CampaignKind;
use crate::error::Result;
use crate::log::place_of;
use crate::raft::{Raft, SoftState};
use crate::ready::Ready;
use crate::status::Status;
use crate::storage::Storage;

/// What is remembered of a Ready.
#[derive(Debug)]
struct Record {
    number: u64,
    soft_state: SoftState,
    hard_state: HardState,
    /// Index and term of its last entry.
    last_entry: Option<(u64, u64)>,
    /// The place of its snapshot.
    snapshot: Option<u64>,
    /// What it and those before it gave out to be applied.
    handed_out: u64,
    /// Bytes of this leader's own proposals among that.
    released: u64,
}

/// A node and its Readys.
#[derive(Debug)]
pub struct RawNode<S: Storage> {
    raft: Raft<S>,
    /// The number of the Ready taken last.
    number: u64,
    /// What the driver knows, as of the Ready advanced last.
    soft_state: SoftState,
    hard_state: HardState,
    /// The Ready that was taken, and not advanced.
    taken: Option<Record>,
    /// Advanced, and not durable, in the order of numbers.
    in_flight: VecDeque<Record>,
    /// The term and the vote that are durable.
    durable: (u64, u64),
    /// The last entry that was given out to be applied.
    handed_out: u64,
}

impl<S: Storage> RawNode<S> {
    /// A node that starts from what its storage holds.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) or a storage that failed.
    pub fn new(config: Config, store: S) -> Result<Self> {
        let raft = Raft::new(config, store)?;
        let (soft_state, hard_state) = (raft.soft_state(), raft.hard_state());
        Ok(RawNode {
            number: 0,
            durable: (hard_state.term, hard_state.vote),
            soft_state,
            hard_state,
            taken: None,
            in_flight: VecDeque::new(),
            handed_out: raft.log.applied(),
            raft,
        })
    }

    /// One tick of the logical clock.
    ///
    /// # Errors
    /// The storage failed.
    pub fn tick(&mut self) -> Result<()> {
        self.raft.tick()?;
        self.raft.settle();
        Ok(())
    }

    /// A message from another node has arrived.
    ///
    /// # Errors
    /// The message was refused, and nothing has changed; or the storage failed.
    pub fn step(&mut self, m: Message) -> Result<()> {
        self.raft.step(m)?;
        self.raft.settle();
        Ok(())
    }

    /// Campaigns now, if nothing speaks against it (a leader, a node without a vote, and one whose gate is
    /// closed do not).
    ///
    /// # Errors
    /// The storage failed.
    pub fn campaign(&mut self) -> Result<()> {
        self.campaign_as(self.raft.usual_campaign())
    }

    /// *Seam.* As [`campaign`](Self::campaign), of this kind.
    ///
    /// # Errors
    /// The storage failed.
    pub fn campaign_as(&mut self, kind: CampaignKind) -> Result<()> {
        self.raft.hup(kind)?;
        self.raft.settle();
        Ok(())
    }

    /// Proposes a command. `context` goes along with the entry, untouched.
    ///
    /// # Errors
    /// As [`propose_entry`](Self::propose_entry).
    pub fn propose(&mut self, context: Bytes, data: Bytes) -> Result<()> {
        self.propose_entry(EntryType::EntryNormal, context, data)
    }

    /// As [`Raft::announce_last`].
    pub fn announce_last(&mut self) {
        self.raft.announce_last();
    }

    /// *Seam.* Proposes an entry of any type.
    ///
    /// # Errors
    /// As [`Raft::propose_entry`].
    pub fn propose_entry(&mut self, kind: EntryType, context: Bytes, data: Bytes) -> Result<()> {
        self.raft.propose_entry(kind, context, data)
    }

    /// Asks for an index at which a read is linearizable; see [`Raft::read_index`].
    ///
    /// # Errors
    /// No answer will come.
    pub fn read_index(&mut self, context: Bytes) -> Result<()> {
        self.raft.read_index(context)
    }

    /// The transport has brought the snapshot to this node, or has lost it. Each one must be reported.
    pub fn report_snapshot(&mut self, id: u64, arrived: bool) {
        self.raft.report_snapshot(id, arrived);
    }

    /// A message to this node could not be delivered.
    pub fn report_unreachable(&mut self, id: u64) {
        self.raft.report_unreachable(id);
    }

    /// Whether there is anything to do. False after a Ready was advanced and nothing has happened since.
    ///
    /// You will need everything that `ready` collects: messages of both kinds, appends that are owed
    /// (`owes_appends`), states that the driver does not know, read states, a snapshot, entries to write,
    /// entries to apply.
    pub fn has_ready(&self) -> bool {
        // BEGIN SOLUTION 2AC.has_ready
        let raft = &self.raft;
        !raft.messages.is_empty()
            || !raft.persisted_messages.is_empty()
            || raft.owes_appends()
            || raft.soft_state() != self.soft_state
            || raft.hard_state() != self.hard_state
            || !raft.read_states.is_empty()
            || raft.log.unstable.snapshot.is_some()
            || !raft.log.unstable.entries.is_empty()
            || raft.log.has_next_entries(self.handed_out)
        // END SOLUTION
    }

    /// Whether a snapshot is on its way in: the next Ready holds it.
    pub fn has_snapshot(&self) -> bool {
        self.raft.log.unstable.snapshot.is_some()
    }

    /// Takes a Ready. Advance it before you take the next; a Ready that is dropped comes again, but for its
    /// messages and read states.
    ///
    /// You will need `raft.send_appends`, `raft.take_messages`, the log's `unstable` part and `next_entries`.
    /// The cursors do not move: keep a `Record` of what this Ready holds. A pending snapshot replaces the log, so
    /// what is to be applied afterwards starts behind it.
    ///
    /// # Errors
    /// The storage failed.
    pub fn ready(&mut self) -> Result<Ready> {
        // BEGIN SOLUTION 2AC.ready
        self.raft.send_appends()?;
        self.number += 1;
        let mut ready = Ready { number: self.number, ..Ready::default() };
        (ready.messages, ready.persisted_messages) = self.messages();
        ready.read_states = self.raft.take_read_states();

        let (soft_state, hard_state) = (self.raft.soft_state(), self.raft.hard_state());
        ready.soft_state = (soft_state != self.soft_state).then_some(soft_state);
        ready.hard_state = (hard_state != self.hard_state).then_some(hard_state);

        let log = &self.raft.log;
        ready.snapshot.clone_from(&log.unstable.snapshot);
        ready.entries.clone_from(&log.unstable.entries);
        let snapshot = ready.snapshot.as_ref().map(|snapshot| place_of(snapshot).0);
        let mut handed_out = self.handed_out.max(snapshot.unwrap_or(0));
        let limit = self.raft.config.max_committed_size_per_ready;
        ready.committed_entries = log.next_entries(handed_out, limit)?;
        if let Some(last) = ready.committed_entries.last() {
            handed_out = last.index;
        }

        // Figure 2: term, vote and log are what a restart must find.
        let promised = |state: &HardState| (state.term, state.vote);
        ready.must_sync = !ready.entries.is_empty()
            || snapshot.is_some()
            || promised(&hard_state) != promised(&self.hard_state);

        self.taken = Some(Record {
            number: self.number,
            soft_state,
            hard_state,
            last_entry: ready.entries.last().map(|entry| (entry.index, entry.term)),
            snapshot,
            handed_out,
            released: self.raft.own_size(&ready.committed_entries),
        });
        Ok(ready)
        // END SOLUTION
    }

    /// The outbox: what may leave at once, and what waits for the disk.
    ///
    /// You will need `raft.take_messages` and `durable`. What does a message promise that is sent under a new
    /// term or a new vote?
    fn messages(&mut self) -> (Vec<Message>, Vec<Message>) {
        // BEGIN SOLUTION 2AC.ready
        let (at_once, mut after) = self.raft.take_messages();
        let state = self.raft.hard_state();
        if (state.term, state.vote) == self.durable {
            return (at_once, after);
        }
        after.extend(at_once);
        (Vec::new(), after)
        // END SOLUTION
    }

    /// What this Ready asked to be stored can be read from the storage. It need not be durable.
    pub fn advance_append_async(&mut self, ready: Ready) {
        self.stored(ready.number);
    }

    /// The Ready of this number, which was taken last, is stored.
    ///
    /// You will need its record, and the log's `stable_snapshot` and `stable_to`. Things may have happened since
    /// the Ready was taken: move each cursor by what the Ready held, not by how things are now.
    fn stored(&mut self, number: u64) {
        // BEGIN SOLUTION 2AC.ready
        let record = self.taken.take().filter(|record| record.number == number);
        let record = record.expect("a Ready is advanced once, and before the next one is taken");
        self.soft_state = record.soft_state;
        self.hard_state = record.hard_state;
        self.handed_out = record.handed_out;
        self.raft.release(record.released);
        if let Some(index) = record.snapshot {
            self.raft.log.stable_snapshot(index);
        }
        if let Some((index, term)) = record.last_entry {
            self.raft.log.stable_to(index, term);
        }
        self.in_flight.push_back(record);
        // END SOLUTION
    }

    /// Readys up to this number are durable.
    ///
    /// You will need the records in flight, `durable`, the log's `persist_snapshot`, and
    /// `raft.on_persist_entries`.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_persist_ready(&mut self, number: u64) -> Result<()> {
        // BEGIN SOLUTION 2AC.on_persist
        while let Some(record) = self.in_flight.front()
            && record.number <= number
            && let Some(record) = self.in_flight.pop_front()
        {
            self.durable = (record.hard_state.term, record.hard_state.vote);
            if let Some(index) = record.snapshot {
                self.raft.log.persist_snapshot(index);
            }
            if let Some((index, term)) = record.last_entry {
                self.raft.on_persist_entries(index, term)?;
            }
        }
        Ok(())
        // END SOLUTION
    }

    /// This Ready is stored and durable.
    ///
    /// # Errors
    /// The storage failed.
    pub fn advance_append(&mut self, ready: Ready) -> Result<()> {
        self.stored(ready.number);
        self.on_persist_ready(ready.number)
    }

    /// This Ready is stored, durable and applied.
    ///
    /// # Errors
    /// The storage failed.
    pub fn advance(&mut self, ready: Ready) -> Result<()> {
        self.stored(ready.number);
        self.on_persist_ready(ready.number)?;
        self.advance_apply_to(self.handed_out);
        Ok(())
    }

    /// Everything up to this index is applied; it was given out to be.
    pub fn advance_apply_to(&mut self, index: u64) {
        self.raft.log.applied_to(index);
    }

    /// What the node says of itself.
    pub fn status(&self) -> Status<'_> {
        self.raft.status()
    }

    /// The node itself, to look at.
    pub fn raft(&self) -> &Raft<S> {
        &self.raft
    }

    /// The storage, to read from.
    pub fn store(&self) -> &S {
        &self.raft.log.store
    }

    /// The storage, to write what a Ready asks for.
    pub fn mut_store(&mut self) -> &mut S {
        &mut self.raft.log.store
    }

    /// *Seam.* From now on, these are the members; see [`Raft::set_conf`].
    ///
    /// # Errors
    /// The configuration makes no sense, and nothing has changed; or the storage failed.
    pub fn set_conf(&mut self, conf: &ConfState) -> Result<()> {
        self.raft.set_conf(conf)
    }

    /// *Seam.* Puts a message into the outbox; see [`Raft::send`].
    pub fn send(&mut self, m: Message) {
        self.raft.send(m);
    }

    /// *Seam.* What time it is; see [`Raft::set_now`].
    pub fn set_now(&mut self, now: u64) {
        self.raft.set_now(now);
    }

    /// *Seam.* Ends the lease; see [`Raft::suspend_lease`].
    pub fn suspend_lease(&mut self) {
        self.raft.suspend_lease();
    }

    /// *Seam.* Leases may be won again; see [`Raft::resume_lease`].
    pub fn resume_lease(&mut self) {
        self.raft.resume_lease();
    }

    /// Panics if an invariant does not hold. Tests call it after each step.
    pub fn check_invariants(&self) {
        self.raft.check_invariants();
        let (out, committed) = (self.handed_out, self.raft.log.committed());
        assert!(out <= committed, "{out} was given out to be applied, {committed} is committed");
        let numbers: Vec<u64> = self.in_flight.iter().map(|record| record.number).collect();
        assert!(numbers.is_sorted(), "Readys in flight are out of order: {numbers:?}");
    }
}
