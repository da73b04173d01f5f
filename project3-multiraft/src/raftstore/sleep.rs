//! Idle regions cost nothing.
//!
//! A region in which nothing happens still has a heartbeat per tick and follower. A thousand of them keep a core busy with
//! saying nothing. So an idle region goes to sleep: its peers are not ticked any more, and nobody in it campaigns. That is a
//! decision of the store; the core knows nothing of it.
//!
//! - **To sleep**, everybody must have everything: the leader asks when all members match, all is applied, nothing waits,
//!   and nothing has happened for a while; each follower agrees that is as far, too. When all have agreed, the leader stops.
//!   A follower stops when it agrees; the next heartbeat would wake it.
//! - **Awake** makes anything that happens to the region: a message, a request, an operator. Who wakes has a full timeout
//!   before it, since the last thing that it did was to hear its leader.
//! - **The dead do not wake anybody.** A sleeping follower does not miss the heartbeats of a leader that is gone. So *stores*
//!   tell each other that they are alive, one message per pair and not per region; when one has not been heard for an
//!   election timeout, every region that follows a leader there wakes.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::MessageType;
use proto::metapb::Peer as Member;
use proto::raft_serverpb::{ExtraMessage, ExtraMessageType, RaftMessage};

use super::replica::Replica;
use super::{Effect, MultiStore};
use crate::membership::MembershipNode;

/// How a peer sleeps.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    asleep: bool,
    /// Ticks in which nothing has happened.
    idle: u64,
    /// On a leader that has asked: who has agreed.
    agreed: Option<BTreeSet<u64>>,
    /// What was the last index when it was last looked at.
    seen: u64,
}

impl Sleep {
    pub fn asleep(&self) -> bool {
        self.asleep
    }

    fn wake(&mut self) {
        *self = Sleep::default();
    }
}

/// When other stores were last heard, in ticks.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    heard: BTreeMap<u64, u64>,
}

fn talk(kind: ExtraMessageType) -> ExtraMessage {
    ExtraMessage { r#type: kind.into(), ..Default::default() }
}

/// Whether a message means work. Heartbeats and their answers do not: they are what is to be saved.
fn means_work(message: &RaftMessage) -> bool {
    let kind = message.message.as_ref().map(proto::eraftpb::Message::msg_type);
    !matches!(kind, Some(MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResponse))
}

/// Whether there is nothing that this peer still has to do or to learn.
fn is_quiet<N: MembershipNode>(replica: &Replica<N>) -> bool {
    let (peer, status) = (&replica.peer, replica.peer.status());
    replica.is_initialised()
        && status.committed == status.last_index
        && peer.applied() == status.last_index
        && peer.persisted() == status.last_index
        && peer.waiting() == 0
        && replica.desk.is_empty()
        && !peer.is_installing()
}

impl<N: MembershipNode> Replica<N> {
    fn wake(&mut self) {
        if self.sleep.asleep {
            // Who slept was silent, not down.
            self.heard.clear();
            self.peer.node_mut().resume_lease();
        }
        self.sleep.wake();
    }
}

impl<N: MembershipNode> MultiStore<N> {
    /// A region wakes, whatever it did.
    pub(super) fn wake(&mut self, region: u64) {
        if let Some(replica) = self.replicas.get_mut(&region) {
            replica.wake();
            self.busy.insert(region);
        }
    }

    pub(super) fn woken_by(&mut self, message: &RaftMessage) {
        let Some(replica) = self.replicas.get_mut(&message.region_id) else { return };
        if replica.sleep.asleep || means_work(message) {
            replica.wake();
        }
    }

    /// A tick of a peer that is awake: is there still a reason?
    ///
    /// You will need `is_quiet`, the members' match indexes (`node().members()`), and `tell_members`. The leader asks once
    /// it has been idle for long enough, and sleeps when every member has agreed: one that has not may lack something.
    pub(super) fn tick_sleep(&mut self, region: u64) {
        // BEGIN SOLUTION 3B.sleep
        let after = self.config.sleep_ticks;
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        let status = replica.peer.status();
        if !is_quiet(replica) || status.last_index != replica.sleep.seen {
            replica.wake();
            replica.sleep.seen = status.last_index;
            return;
        }
        replica.sleep.idle += 1;
        // What was agreed is void with the heartbeat that this tick has sent: it wakes who slept.
        replica.sleep.agreed = None;
        let members = replica.peer.node().members();
        let all_match = members.iter().all(|member| member.match_index == status.last_index);
        let waits = replica.splitting.is_some() || replica.gc_proposed.is_some();
        let hands_over = replica.peer.node().transferee().is_some();
        let idle = replica.sleep.idle >= after;
        if status.is_leader() && idle && all_match && !waits && !hands_over {
            replica.sleep.agreed = Some(BTreeSet::new());
            self.tell_members(region, ExtraMessageType::MsgHibernateRequest);
            self.sleep_if_agreed(region);
        }
        // END SOLUTION
    }

    /// Somebody asks for sleep, or agrees to it.
    pub(super) fn hear_sleep(&mut self, message: &RaftMessage) {
        // BEGIN SOLUTION 3B.sleep
        let kind = message.extra_msg.as_ref().map(ExtraMessage::r#type);
        let (Some(from), Some(to)) = (message.from_peer, message.to_peer) else { return };
        let region = message.region_id;
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        if to.id != replica.me.id {
            return;
        }
        match kind {
            Some(ExtraMessageType::MsgHibernateRequest) => {
                let status = replica.peer.status();
                let same = message.region_epoch == replica.region().region_epoch;
                if status.leader_id == from.id && same && is_quiet(replica) {
                    replica.sleep.asleep = true;
                    self.answer(region, from, ExtraMessageType::MsgHibernateResponse);
                }
            }
            Some(ExtraMessageType::MsgHibernateResponse) => {
                if let Some(agreed) = &mut replica.sleep.agreed {
                    agreed.insert(from.id);
                    self.sleep_if_agreed(region);
                }
            }
            _ => {}
        }
        // END SOLUTION
    }

    fn sleep_if_agreed(&mut self, region: u64) {
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        let Some(agreed) = &replica.sleep.agreed else { return };
        let me = replica.me.id;
        let all = replica.peer.region().peers.iter().all(|p| p.id == me || agreed.contains(&p.id));
        if all && replica.leads() && is_quiet(replica) {
            replica.sleep.asleep = true;
            // Nobody answers heartbeats that are not sent; and who wakes has no lease.
            replica.peer.node_mut().suspend_lease();
            tracing::debug!(region, "sleeps");
        }
    }

    fn answer(&mut self, region: u64, to: Member, kind: ExtraMessageType) {
        let Some(replica) = self.replicas.get(&region) else { return };
        // Behind this round's heartbeat: it would wake who has just agreed to sleep.
        self.last_words.push(Effect::Send(Box::new(RaftMessage {
            region_id: region,
            from_peer: Some(replica.me),
            to_peer: Some(to),
            region_epoch: replica.region().region_epoch,
            extra_msg: Some(talk(kind)),
            ..Default::default()
        })));
    }

    fn tell_members(&mut self, region: u64, kind: ExtraMessageType) {
        let Some(replica) = self.replicas.get(&region) else { return };
        let me = replica.me.id;
        let others: Vec<Member> = replica.region().peers.clone();
        for other in others.into_iter().filter(|other| other.id != me) {
            self.answer(region, other, kind);
        }
    }

    pub(super) fn heard_store(&mut self, store: u64) {
        self.liveness.heard.insert(store, self.ticks);
    }

    /// Stores with whom this one shares sleeping regions are told that it is alive, and are missed if they are not heard.
    pub(super) fn tick_liveness(&mut self) {
        if self.config.sleep_ticks == 0 {
            return;
        }
        let (mut tell, mut missed) = (BTreeSet::new(), Vec::new());
        let patience = 2 * self.config.raft.election_tick;
        for (region, replica) in self.replicas.iter().filter(|(_, replica)| replica.sleep.asleep) {
            let leader = replica.peer.status().leader_id;
            for member in &replica.region().peers {
                if member.id == replica.me.id {
                    continue;
                }
                if leader == replica.me.id {
                    tell.insert(member.store_id);
                } else if leader == member.id {
                    let heard = self.liveness.heard.entry(member.store_id).or_insert(self.ticks);
                    if self.ticks - *heard > patience {
                        missed.push(*region);
                    }
                }
            }
        }
        let every = (self.config.raft.election_tick / 2).max(1);
        if self.ticks.is_multiple_of(every) {
            for store_id in tell {
                let me = Member { store_id: self.config.store_id, ..Default::default() };
                self.outbox.push(Effect::Send(Box::new(RaftMessage {
                    from_peer: Some(me),
                    to_peer: Some(Member { store_id, ..Default::default() }),
                    extra_msg: Some(talk(ExtraMessageType::MsgHibernateRequest)),
                    ..Default::default()
                })));
            }
        }
        for region in missed {
            self.wake(region);
        }
    }
}
