//! Peers that messages create, and messages from another time.
//!
//! A member is added: the leader writes to a store that has never heard of the region. There the first message creates a
//! peer without data (*uninitialised*: it knows its own id and nothing else), and the leader's snapshot gives it the rest.
//!
//! But messages may be old. The sender may have been removed since, and not know it; the receiver may have been removed,
//! and must not come back: an empty log and an empty vote in the name of a member that had both would break the group. So
//! everything is looked at first:
//!
//! | the message | what is done |
//! |---|---|
//! | is for a peer that died here, or for one before it | dropped; if its sender was removed, too, it is told |
//! | is for a younger peer than the one that lives here | ours is obsolete, and destroyed |
//! | comes from somebody who was a member before our epoch | the sender is told: a *tombstone message* |
//! | is a tombstone message for ours, of a newer epoch | ours is destroyed |
//! | is a first word for an unknown region | a peer is born, if there is room |
//!
//! Ids of peers rise: who is added again to a store has a larger one.

use proto::eraftpb::MessageType;
use proto::metapb::{Peer as Member, Region};
use proto::raft_serverpb::{ExtraMessage, ExtraMessageType, RaftApplyState, RaftMessage};
use raftkv::Result;
use raftkv::apply::Apply;
use raftkv::peer::Peer;
use raftkv::peer_storage;

use super::death::knows_members;
use super::replica::Replica;
use super::{Effect, MultiStore};
use crate::membership::MembershipNode;

/// Ticks between two complaints about the crowd.
const COMPLAINS: u64 = 600;

/// Whether a message may be the first that a new peer gets: a request to vote, or the heartbeat of a leader who knows
/// nothing of it yet.
fn is_first_word(message: &RaftMessage) -> bool {
    let Some(message) = &message.message else { return false };
    match message.msg_type() {
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => true,
        MessageType::MsgHeartbeat => message.commit == 0,
        _ => false,
    }
}

pub(super) fn asks_for_vote(message: &RaftMessage) -> bool {
    let kind = message.message.as_ref().map(proto::eraftpb::Message::msg_type);
    matches!(kind, Some(MessageType::MsgRequestVote | MessageType::MsgRequestPreVote))
}

fn conf_ver(message: &RaftMessage) -> u64 {
    message.region_epoch.map_or(0, |epoch| epoch.conf_ver)
}

impl<N: MembershipNode> MultiStore<N> {
    /// Looks at a message before any peer sees it, and gives it back if its peer should have it.
    ///
    /// You will need `self.bury_if_told` for tombstone messages, `self.extra` for talk between stores, `self.destroy` for a
    /// peer that is obsolete, `self.tell_removed` for a sender that was removed, and `self.maybe_born`. The table above
    /// says which when. Not every tombstone may speak: `knows_members` says which.
    pub(super) fn admit(&mut self, message: RaftMessage) -> Result<Option<RaftMessage>> {
        // BEGIN SOLUTION 3B.admit
        let (Some(from), Some(to)) = (message.from_peer, message.to_peer) else { return Ok(None) };
        if to.store_id != self.config.store_id {
            return Ok(None);
        }
        if message.is_tombstone {
            self.bury_if_told(&message);
            return Ok(None);
        }
        if message.extra_msg.is_some() {
            self.extra(&message);
            return Ok(None);
        }
        if let Some(replica) = self.replicas.get(&message.region_id) {
            if to.id < replica.me.id {
                return Ok(None);
            }
            if to.id > replica.me.id {
                // Ours was removed, and another was added in its place.
                self.destroy(message.region_id, message.region_epoch);
                return Ok(None);
            }
            let of_old = replica.is_initialised()
                && !replica.is_member(&from)
                && conf_ver(&message) < replica.conf_ver();
            if of_old {
                let region = replica.region().clone();
                self.tell_removed(&region, from);
                return Ok(None);
            }
            return Ok(self.has_room(&message).then_some(message));
        }
        let dead = self.tombstones.get(&message.region_id);
        if let Some(dead) = dead.filter(|dead| knows_members(dead)) {
            let known = dead.peers.iter().any(|member| member.id == from.id);
            let old = dead.region_epoch.map_or(0, |epoch| epoch.conf_ver) > conf_ver(&message);
            if old && !known {
                let dead = dead.clone();
                self.tell_removed(&dead, from);
            }
        }
        Ok(if self.maybe_born(&message)? { Some(message) } else { None })
        // END SOLUTION
    }

    /// Whether the peer with this id, or one after it, died on this store.
    pub(super) fn died_here(&self, region: u64, peer: u64) -> bool {
        let own = |member: &&Member| member.store_id == self.config.store_id;
        let dead = self.tombstones.get(&region).and_then(|dead| dead.peers.iter().find(own));
        dead.is_some_and(|dead| dead.id >= peer)
    }

    /// Creates a peer without data for a region that this store does not know, or says no.
    ///
    /// You will need `is_first_word`, `died_here`, `self.burying`, `has_room`, and `self.blank`. What would it mean for the
    /// group if a peer that was removed here began again with an empty log, and voted?
    fn maybe_born(&mut self, message: &RaftMessage) -> Result<bool> {
        // BEGIN SOLUTION 3B.birth
        let Some(to) = message.to_peer else { return Ok(false) };
        let region = message.region_id;
        if to.id == 0 || !is_first_word(message) {
            return Ok(false);
        }
        if self.died_here(region, to.id) || self.burying.contains(&region) {
            return Ok(false);
        }
        if !self.has_room(message) {
            return Ok(false);
        }
        self.blank(region, to)?;
        if let Some(replica) = self.replicas.get_mut(&region) {
            replica.claimed = (message.start_key.to_vec(), message.end_key.to_vec());
        }
        Ok(true)
        // END SOLUTION
    }

    /// Whether a message to a peer without data may pass. As long as another region with data lies where its region
    /// claims to lie (most often its parent, whose split has not been applied here), only requests to vote do: an answer
    /// to anything else would make its leader send a snapshot for which there is no room.
    fn has_room(&mut self, message: &RaftMessage) -> bool {
        let region = message.region_id;
        if !self.replicas.contains_key(&region) && self.is_crowded(message) {
            return false;
        }
        let named = (message.start_key.to_vec(), message.end_key.to_vec());
        let claimed = match self.replicas.get_mut(&region) {
            Some(replica) if replica.is_initialised() => return true,
            Some(replica) => {
                if is_first_word(message) {
                    // Its region may have been cut since the last one, and there may be room for what is left.
                    replica.claimed = named;
                }
                replica.claimed.clone()
            }
            None => named,
        };
        if asks_for_vote(message) {
            return true;
        }
        let there = self.map.overlapping(&claimed.0, &claimed.1, region);
        for other in &there {
            self.suspect(*other);
        }
        there.is_empty()
    }

    /// Whether there are too many peers without data for one more. Each costs memory and a look at every tick, until its
    /// leader's snapshot comes; and who sends first words for regions that nobody else knows never sends one. Who is turned
    /// away for the crowd is no worse off than one whose message was lost: it says its first word again.
    fn is_crowded(&mut self, message: &RaftMessage) -> bool {
        let from = message.from_peer.map_or(0, |from| from.store_id);
        let (mut all, mut theirs) = (0, 0);
        for replica in self.replicas.values().filter(|replica| !replica.is_initialised()) {
            all += 1;
            theirs += usize::from(replica.born_by == from);
        }
        let limit = self.config.max_blanks;
        let crowded = all >= limit || theirs >= limit.div_ceil(4);
        // Whoever causes this causes it often: once in a while is enough to know.
        if crowded && self.ticks >= self.complains_at {
            self.complains_at = self.ticks + COMPLAINS;
            tracing::warn!(
                region = message.region_id,
                from,
                theirs,
                all,
                limit,
                "too many peers without data: a message for a region that is not here gives birth to none"
            );
        }
        crowded
    }

    /// A peer without data: an empty log, and what an earlier one like it has promised.
    fn blank(&mut self, region: u64, me: Member) -> Result<()> {
        let storage = peer_storage::blank(self.log.clone(), region)?;
        let node = self.node(me.id, 0, storage)?;
        let peer = Peer::new(node, me, 0, self.hint_ticks());
        let nothing = Region { id: region, ..Default::default() };
        let apply = Apply::new(nothing, RaftApplyState::default(), self.admin());
        let life = self.new_life();
        self.replicas.insert(region, Replica::new(peer, apply, life, self.now));
        tracing::info!(region, peer = me.id, "born, without data");
        Ok(())
    }

    /// Tells a peer that it is no member any more.
    pub(super) fn tell_removed(&mut self, region: &Region, to: Member) {
        self.tell(region, to, RaftMessage { is_tombstone: true, ..Default::default() });
    }

    fn tell(&mut self, region: &Region, to: Member, message: RaftMessage) {
        let own = |member: &&Member| member.store_id == self.config.store_id;
        let store = Member { store_id: self.config.store_id, ..Default::default() };
        let me = region.peers.iter().find(own).copied().unwrap_or(store);
        self.outbox.push(Effect::Send(Box::new(RaftMessage {
            region_id: region.id,
            from_peer: Some(me),
            to_peer: Some(to),
            region_epoch: region.region_epoch,
            ..message
        })));
    }

    /// Somebody says that our peer is no member any more. It must know a newer configuration than we do.
    fn bury_if_told(&mut self, message: &RaftMessage) {
        let Some(replica) = self.replicas.get(&message.region_id) else { return };
        let ours = message.to_peer.is_some_and(|to| to.id == replica.me.id);
        if ours && conf_ver(message) > replica.conf_ver() {
            self.destroy(message.region_id, message.region_epoch);
        }
    }

    /// Asks the others whether our peer still belongs to them, if it has not heard of a leader for long.
    pub(super) fn ask_whether_stale(&mut self, region: u64) {
        let every = self.config.stale_ticks;
        let Some(replica) = self.replicas.get(&region) else { return };
        let leaderless = replica.peer.leaderless();
        if every > 0 && leaderless > 0 && leaderless.is_multiple_of(every) {
            self.ask_others(region);
        }
    }

    /// The same at once, because somebody claims the place of our peer's region.
    fn suspect(&mut self, region: u64) {
        let Some(replica) = self.replicas.get(&region) else { return };
        let quiet = replica.peer.leaderless() > self.config.raft.election_tick;
        if quiet && self.ticks.is_multiple_of(4) {
            self.ask_others(region);
        }
    }

    fn ask_others(&mut self, region: u64) {
        let Some(replica) = self.replicas.get(&region) else { return };
        let (here, me) = (replica.region().clone(), replica.me);
        let mut others: Vec<Member> =
            here.peers.iter().chain(replica.peer.strangers()).copied().collect();
        others.retain(|other| other.store_id != me.store_id);
        for other in others {
            let extra = ExtraMessage {
                r#type: ExtraMessageType::MsgCheckStalePeer.into(),
                ..Default::default()
            };
            let from_peer = Some(me);
            let question = RaftMessage { extra_msg: Some(extra), from_peer, ..Default::default() };
            self.outbox.push(Effect::Send(Box::new(RaftMessage {
                region_id: region,
                to_peer: Some(other),
                region_epoch: here.region_epoch,
                ..question
            })));
        }
    }

    /// Talk between stores about a peer.
    fn extra(&mut self, message: &RaftMessage) {
        let kind = message.extra_msg.as_ref().map(ExtraMessage::r#type);
        match kind {
            Some(ExtraMessageType::MsgCheckStalePeer) => self.answer_stale(message),
            Some(_) => self.hear_sleep(message),
            None => {}
        }
    }

    /// A peer asks whether it still belongs to its region. Who knows better says so; who does not is silent.
    fn answer_stale(&mut self, message: &RaftMessage) {
        let Some(from) = message.from_peer else { return };
        let known = match self.replicas.get(&message.region_id) {
            Some(replica) if replica.is_initialised() => replica.region().clone(),
            _ => match self.tombstones.get(&message.region_id) {
                Some(dead) if knows_members(dead) => dead.clone(),
                _ => return,
            },
        };
        let newer = known.region_epoch.map_or(0, |epoch| epoch.conf_ver) > conf_ver(message);
        if newer && !known.peers.iter().any(|member| member.id == from.id) {
            self.tell_removed(&known, from);
        } else {
            // It may sleep while its leader is gone.
            self.wake(message.region_id);
        }
    }
}
