//! The node: a core, and what a leader must remember beside it.

use bytes::Bytes;
use proto::eraftpb::{EntryType, Message, MessageType};
use raftcore::{Config, NOBODY, Raft, RawNode, Ready, Role, Storage};
use raftkv::node::{NodeStatus, RaftNode};
use raftkv::peer_storage::PeerStorage;

use super::conf;

/// The node that this project's peers drive.
pub type Node = MemberNode<PeerStorage>;

/// A Raft node whose members change, and whose leader can hand over. See the module.
///
/// - `led`, `pending_conf_index` and the transfer belong together: all are of the leadership in term `led`, and are
///   begun anew by [`look`](Self::look) when there is another one.
#[derive(Debug)]
pub struct MemberNode<S: Storage> {
    pub(super) raw: RawNode<S>,
    /// The term that this node led when it last looked; 0: it did not lead.
    pub(super) led: u64,
    /// The last change in the log is here or before. Means something on a leader only.
    pub(super) pending_conf_index: u64,
    /// To whom leadership is being handed over; 0: to nobody.
    pub(super) transferee: u64,
    /// Ticks since that began. `0 .. election_tick`
    pub(super) transfer_elapsed: u64,
    /// MsgTimeoutNow was sent in this leadership: somebody may campaign any time, and no lease is good any more.
    pub(super) let_go: bool,
}

impl<S: Storage> MemberNode<S> {
    /// A node that starts from what its storage holds. If that names no members, the node waits until somebody's
    /// snapshot does, and never campaigns meanwhile.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a storage that failed.
    pub fn new(config: Config, store: S) -> raftcore::Result<Self> {
        let config = Config { campaign_gate: Some(conf::harmless), ..config };
        Ok(MemberNode {
            raw: RawNode::new(config, store)?,
            led: 0,
            pending_conf_index: 0,
            transferee: NOBODY,
            transfer_elapsed: 0,
            let_go: false,
        })
    }

    /// Something has happened to the core. If another leadership has begun, or this one has ended, what belonged to the
    /// last one is void.
    ///
    /// You will need `self.raw.raft()` (`role`, `term`, `log.last_index`) and `led`. A leader that was just elected
    /// does not know whether there is a change in the tail of its log. What must it take for one? And it proposes
    /// none before it has applied an entry of its own term; the first of those is in its log already.
    pub(super) fn look(&mut self) {
        // BEGIN SOLUTION 3A.look
        let raft = self.raw.raft();
        let leads = if raft.role() == Role::Leader { raft.term() } else { 0 };
        if leads == self.led {
            return;
        }
        self.led = leads;
        // Thesis 4.1, and Ongaro's correction of 2015: not before an entry of this term is committed. We wait
        // until it is applied here, so that with it everything before it is, too.
        self.pending_conf_index = raft.log.last_index();
        self.transferee = NOBODY;
        self.transfer_elapsed = 0;
        self.let_go = false;
        // END SOLUTION
    }

    /// One tick of the logical clock.
    ///
    /// # Errors
    /// The storage failed.
    pub fn tick(&mut self) -> raftcore::Result<()> {
        if self.has_left() {
            // Its group must be able to do without it: no heartbeats, so that somebody else runs.
            return Ok(());
        }
        self.raw.tick()?;
        self.look();
        if self.transferee != NOBODY {
            self.tick_transfer();
        }
        Ok(())
    }

    /// A message from another node has arrived.
    ///
    /// # Errors
    /// The message was refused, and nothing has changed; or the storage failed.
    pub fn step(&mut self, mut m: Message) -> raftcore::Result<()> {
        let (kind, from) = (MessageType::try_from(m.msg_type), m.from);
        match kind {
            Ok(MessageType::MsgTransferLeader) => return self.hear_transfer(&m),
            Ok(MessageType::MsgPropose) if self.leads() => {
                self.refuse_while_handing_over()?;
                let change = self.sift(&mut m.entries);
                let last_index = self.raw.raft().log.last_index();
                self.raw.step(m)?;
                if let Some(place) = change {
                    self.pending_conf_index = last_index + 1 + place;
                }
                return Ok(());
            }
            _ => self.raw.step(m)?,
        }
        self.look();
        if kind == Ok(MessageType::MsgAppendResponse) && from == self.transferee {
            self.maybe_let_go();
        }
        Ok(())
    }

    /// Campaigns now, if nothing speaks against it.
    ///
    /// # Errors
    /// The storage failed.
    pub fn campaign(&mut self) -> raftcore::Result<()> {
        self.raw.campaign()?;
        self.look();
        Ok(())
    }

    /// Proposes a command.
    ///
    /// # Errors
    /// Nothing was appended; [`raftcore::Error::Refused`] while leadership is being handed over.
    pub fn propose(&mut self, context: Bytes, data: Bytes) -> raftcore::Result<()> {
        self.refuse_while_handing_over()?;
        self.raw.propose_entry(EntryType::EntryNormal, context, data)
    }

    /// Leases may be won again, unless somebody was told to campaign.
    pub fn resume_lease(&mut self) {
        if !self.let_go {
            self.raw.resume_lease();
        }
    }

    /// The last change in a leader's log is at this index or before it.
    pub fn pending_conf_index(&self) -> u64 {
        self.pending_conf_index
    }

    /// To whom leadership is being handed over.
    pub fn transferee(&self) -> Option<u64> {
        (self.transferee != NOBODY).then_some(self.transferee)
    }

    /// The core, to look at.
    pub fn raft(&self) -> &Raft<S> {
        self.raw.raft()
    }

    /// The core's driver's side: Readys, reports and reads go there as they are.
    pub fn raw(&self) -> &RawNode<S> {
        &self.raw
    }

    /// As [`raw`](Self::raw).
    pub fn mut_raw(&mut self) -> &mut RawNode<S> {
        &mut self.raw
    }

    /// Whether this node leads.
    pub(super) fn leads(&self) -> bool {
        self.led != 0
    }

    /// Whether this node leads a group that it does not belong to any more. It serves the others with what it has,
    /// and ends with its peer.
    fn has_left(&self) -> bool {
        self.leads() && !self.raw.raft().progress().contains_key(&self.raw.raft().id())
    }

    /// Panics if an invariant does not hold. Tests call it after each step.
    pub fn check_invariants(&self) {
        self.raw.check_invariants();
        let raft = self.raw.raft();
        let leads = if raft.role() == Role::Leader { raft.term() } else { 0 };
        assert!(
            self.led == leads,
            "it leads term {leads}, and remembers that it leads {}",
            self.led
        );
        assert!(
            self.leads() || self.transferee == NOBODY,
            "it hands over to {}, and does not lead",
            self.transferee
        );
    }
}

impl RaftNode for Node {
    fn storage(&self) -> &PeerStorage {
        self.raw.store()
    }

    fn storage_mut(&mut self) -> &mut PeerStorage {
        self.raw.mut_store()
    }

    fn tick(&mut self) -> raftcore::Result<()> {
        self.tick()
    }

    fn set_now(&mut self, now: u64) {
        self.raw.set_now(now);
    }

    fn step(&mut self, message: Message) -> raftcore::Result<()> {
        self.step(message)
    }

    fn campaign(&mut self) -> raftcore::Result<()> {
        self.campaign()
    }

    fn propose(&mut self, data: Bytes) -> raftcore::Result<()> {
        self.propose(Bytes::new(), data)
    }

    fn announce_last(&mut self) {
        self.raw.announce_last();
    }

    fn read_index(&mut self, context: Bytes) -> raftcore::Result<()> {
        self.raw.read_index(context)
    }

    fn has_ready(&self) -> bool {
        self.raw.has_ready()
    }

    fn ready(&mut self) -> raftcore::Result<Ready> {
        self.raw.ready()
    }

    fn advance_append_async(&mut self, ready: Ready) {
        self.raw.advance_append_async(ready);
    }

    fn on_persist_ready(&mut self, number: u64) -> raftcore::Result<()> {
        self.raw.on_persist_ready(number)
    }

    fn advance_apply_to(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
    }

    fn report_unreachable(&mut self, id: u64) {
        self.raw.report_unreachable(id);
    }

    fn report_snapshot(&mut self, id: u64, arrived: bool) {
        self.raw.report_snapshot(id, arrived);
    }

    fn status(&self) -> NodeStatus {
        RaftNode::status(&self.raw)
    }
}
