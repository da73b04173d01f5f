//! Snapshots (paper, section 7).
//!
//! A log cannot grow for ever. What is applied may be dropped from its front; who needs it after that gets the
//! state machine itself. Raft does not look into a snapshot: it knows the place in the log that it stands for
//! (index and term of the last entry in it) and the members at that place.
//!
//! A leader sends one when a member needs an entry that is compacted, and to a member that it hears from:
//! snapshots are large, and the silent may be dead. While it is under way nothing else is sent but heartbeats.
//! The end comes from the member (it acknowledges an index that covers it) or from the transport
//! ([`report_snapshot`](Raft::report_snapshot)), which must report each one that it loses: a message that is
//! lost without a word would leave the member waiting for ever.
//!
//! A follower that takes one drops its whole log. It hands the snapshot out in the next Ready, for the
//! application to install, and acknowledges when that is durable.
//!
//! # Invariants
//!
//! - A snapshot never takes back what is committed here.
//! - Every snapshot that arrives is answered with what this node has, or the leader would send it for ever.

use proto::eraftpb::{Message, MessageType, Snapshot};

use crate::error::Result;
use crate::log::place_of;
use crate::progress::ProgressState;
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::message;

impl<S: Storage> Raft<S> {
    /// Sends a snapshot to a member that needs compacted entries. Returns whether a message went out.
    ///
    /// You will need `log.snapshot`, `log.first_index`, [`place_of`], and of the member's
    /// [`Progress`](crate::Progress): `recent_active`, `become_snapshot`, and `pause` when nothing can be sent
    /// now. From which index on would a snapshot help?
    pub(crate) fn send_snapshot(&mut self, to: u64) -> Result<bool> {
        // BEGIN SOLUTION 2CA.send_snapshot
        let Some(progress) = self.progress.get_mut(&to) else { return Ok(false) };
        if !progress.recent_active {
            // It may be dead. Its first answer to a heartbeat brings us back here.
            progress.pause();
            return Ok(false);
        }
        // An older one would leave a gap between itself and our log.
        let at_least = self.log.first_index()? - 1;
        let Some(snapshot) = self.log.snapshot(at_least, to)? else {
            progress.pause();
            return Ok(false);
        };
        progress.become_snapshot(place_of(&snapshot).0);
        let m = message(MessageType::MsgSnapshot, to);
        self.send(Message { snapshot: Some(snapshot), ..m });
        Ok(true)
        // END SOLUTION
    }

    /// The leader of this term sends a snapshot. Exactly one answer goes out: a MsgAppendResponse with the
    /// index up to which this node's log now agrees with the leader's, for certain.
    ///
    /// You will need `restore` and `send`. How far is that when the snapshot was of no use?
    pub(crate) fn handle_snapshot(&mut self, m: Message) -> Result<()> {
        // BEGIN SOLUTION 2CA.restore
        let restored = match m.snapshot {
            Some(snapshot) => self.restore(snapshot)?,
            None => false,
        };
        let index = if restored { self.log.last_index() } else { self.log.committed };
        let answer = message(MessageType::MsgAppendResponse, m.from);
        self.send(Message { index, commit: self.log.committed, ..answer });
        Ok(())
        // END SOLUTION
    }

    /// Puts a snapshot in the place of the log, if it is of use. Returns whether it was.
    ///
    /// You will need [`place_of`], `log.matches`, `log.restore` and `set_conf`. Three kinds are of no use:
    /// one of what is committed here anyway; one whose last entry is in this log (then all before it is, too,
    /// and it is enough to know that it is committed); one of a group that this node does not belong to.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) -> Result<bool> {
        // BEGIN SOLUTION 2CA.restore
        let (index, term) = place_of(&snapshot);
        // Late, or a second time: what is committed here is never taken back.
        if index <= self.log.committed {
            return Ok(false);
        }
        let conf = snapshot.metadata.as_ref().and_then(|meta| meta.conf_state.clone());
        let conf = conf.unwrap_or_default();
        let lists = [&conf.voters, &conf.learners, &conf.voters_outgoing];
        if !lists.iter().any(|ids| ids.contains(&self.id)) {
            // It is from before this node was added. The next one will know it.
            return Ok(false);
        }
        // Section 7, InstallSnapshot 6: the log goes on behind it, keep that.
        if self.log.matches(index, term)? {
            self.log.commit_to(index);
            return Ok(false);
        }
        self.set_conf(&conf)?;
        self.log.restore(snapshot);
        Ok(true)
        // END SOLUTION
    }

    /// The transport has brought a snapshot to this member, or has lost it.
    pub fn report_snapshot(&mut self, id: u64, arrived: bool) {
        let Some(progress) = self.progress.get_mut(&id) else { return };
        let ProgressState::Snapshot(_) = progress.state else { return };
        if self.role != Role::Leader {
            return;
        }
        if !arrived {
            progress.state = ProgressState::Probe;
        }
        progress.become_probe();
        // Give it the time to install it, or the network to recover: until its next sign of life.
        progress.pause();
    }
}
