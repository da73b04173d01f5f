//! Members change and leaders hand over, while everything else goes wrong.
//!
//! The world does here what a store does: it starts a node when it becomes a member, under an id that was never
//! used; it destroys one that has applied its own removal; and it tells one that was removed, and does not know it, when
//! that speaks to somebody who does, or when all others know.

use proto::eraftpb::{ConfChangeTransition, MessageType};
use sim::failure::Outcome;

use super::{Chaos, Event, TICK};
use crate::mail::Mail;
use crate::members::{self, Change};
use crate::protocol::Input;
use crate::world::Setup;

impl Chaos<'_> {
    /// Who belongs to the group, as far as its leader knows; everybody, if there is no leader.
    pub(super) fn members(&self) -> Vec<u64> {
        let Some(leader) = self.leader() else { return self.ids() };
        let conf = self.nodes[&leader].conf();
        self.ids().into_iter().filter(|&id| members::has(conf, id)).collect()
    }

    /// Somebody wants the members to change.
    pub(super) fn change(&mut self) -> Outcome {
        let Some(leader) = self.leader() else { return Ok(()) };
        if self.plan.joint {
            return self.change_at_once(leader);
        }
        let conf = self.nodes[&leader].conf().clone();
        let voters = conf.voters.len() as u64;
        // Small groups are where it hurts; one voter alone would be no group.
        let shrink = voters > 2 && self.rng.chance(if voters >= self.plan.nodes { 70 } else { 25 });
        let change = if shrink {
            // A leader that goes is the case to look at.
            let voter = if self.rng.chance(30) { leader } else { *self.rng.pick(&conf.voters) };
            if self.rng.chance(20) { members::add_learner(voter) } else { members::remove(voter) }
        } else if let Some(&learner) = conf.learners.first()
            && self.rng.chance(60)
        {
            if self.rng.chance(70) { members::add(learner) } else { members::remove(learner) }
        } else if self.rng.chance(15) {
            // Nothing new: whoever asks may ask twice.
            members::add(*self.rng.pick(&conf.voters))
        } else {
            let id = self.nodes.keys().max().map_or(1, |id| id + 1);
            if self.rng.chance(40) { members::add_learner(id) } else { members::add(id) }
        };
        self.say(format!("n{leader} is asked for {change:?}"));
        let wish = Change::from(&change).proposed();
        if self.order(leader, wish)? == Some(Ok(())) && !self.nodes.contains_key(&change.node_id) {
            self.born(change.node_id)?;
        }
        Ok(())
    }

    /// Somebody wants several members to change at once. Of the old voters one stays, at least: who leads through a
    /// joint configuration belongs to both halves.
    fn change_at_once(&mut self, leader: u64) -> Outcome {
        let conf = self.nodes[&leader].conf().clone();
        if members::is_joint(&conf) {
            // One that ends by itself needs no wish; whoever utters it changes nothing.
            self.say(format!("n{leader} is asked to leave the joint configuration"));
            return self.order(leader, Change::from(&members::leave()).proposed()).map(drop);
        }
        let mut next_id = self.nodes.keys().max().map_or(1, |id| id + 1);
        let mut changes = Vec::new();
        let mut old = conf.voters.clone();
        for _ in 0..=self.rng.below(2) {
            if old.len() > 1 {
                let goes = old.swap_remove(self.rng.below(old.len()));
                let demoted = self.rng.chance(25);
                changes.push(if demoted {
                    members::add_learner(goes)
                } else {
                    members::remove(goes)
                });
                // As many voters as before: a half of two could not do without either.
                changes.push(members::add(next_id));
                next_id += 1;
            }
        }
        for &learner in &conf.learners {
            changes.push(if self.rng.chance(50) {
                members::remove(learner)
            } else {
                members::add(learner)
            });
        }
        let kind = *self.rng.pick(&[
            ConfChangeTransition::Auto,
            ConfChangeTransition::Implicit,
            ConfChangeTransition::Explicit,
        ]);
        let change = Change::Many(members::joint(kind, &changes));
        self.say(format!("n{leader} is asked for {}", change.show()));
        if self.order(leader, change.proposed())? == Some(Ok(())) {
            for change in changes {
                if !self.nodes.contains_key(&change.node_id) {
                    self.born(change.node_id)?;
                }
            }
        }
        Ok(())
    }

    /// Somebody wants another leader: any node, members or not, asked where it may not even be known.
    pub(super) fn transfer(&mut self) -> Outcome {
        let ids = self.ids();
        let to = *self.rng.pick(&ids);
        let at = match self.leader() {
            Some(leader) if self.rng.chance(80) => leader,
            _ => *self.rng.pick(&ids),
        };
        self.say(format!("n{at} is asked to hand over to n{to}"));
        self.order(at, Input::TransferLeader(to)).map(drop)
    }

    /// A node that nobody knows yet is started.
    fn born(&mut self, id: u64) -> Outcome {
        let node = self.lab.node(Setup::of(id, &[]).with(|c| self.plan.configure(c)))?;
        self.monitors.join(&node)?;
        self.nodes.insert(id, node);
        self.lives.insert(id, 1);
        let phase = self.draw(TICK);
        self.at(phase, Event::Tick(id));
        Ok(())
    }

    /// Each node makes a snapshot of what it has now: whoever is new can only use one that knows it.
    pub(super) fn refresh_snapshots(&mut self) -> Outcome {
        for id in self.ids() {
            let flushed = self.flushed.get(&id).copied().unwrap_or(0);
            let flushed = flushed.min(self.statuses.get(&id).map_or(0, |status| status.applied));
            if flushed > 0 && flushed >= self.nodes[&id].disk.durable().conf_index {
                let data = format!("state at {flushed}").into_bytes();
                self.order(id, Input::MakeSnapshot(flushed, data.into()))?;
            }
        }
        Ok(())
    }

    /// A node has applied entries up to here.
    pub(super) fn applied(&mut self, id: u64, index: u64) -> Outcome {
        let when = self.lab.when();
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_up()) else { return Ok(()) };
        if node.has_change(index) {
            // What is committed by now was committed by the members of now.
            let status = node.status()?;
            self.monitors.on_rest(when, &self.nodes, id, &status)?;
        }
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let led = node.leads()?;
        node.applied(index)?;
        let changed = node.disk.durable().conf_index;
        self.monitors.on_applied(when, &self.nodes[&id])?;
        if self.monitors.groups.removed(id, changed) && self.may_go(changed) {
            self.coverage.leaders_removed += u64::from(led);
            self.destroy(id);
            return Ok(());
        }
        self.after(id)?;
        self.flush(id, index);
        // Members and applied index are durable together.
        self.flush_at_least(id, changed);
        Ok(())
    }

    /// Whether those that the change at `index` removed may end. Where two halves decide, more of the old one may be leaving than
    /// it can do without, and who has not heard of the end still needs its votes: all that stay must know.
    fn may_go(&self, index: u64) -> bool {
        !self.plan.joint || self.all_know(index)
    }

    /// Whether all that the change at `index` leaves in the group have applied it.
    fn all_know(&self, index: u64) -> bool {
        let Some(conf) = self.monitors.groups.members_at(index) else { return false };
        let mut stay =
            conf.voters.iter().chain(&conf.learners).filter(|id| !self.gone.contains(id));
        stay.all(|id| {
            self.nodes.get(id).is_some_and(|node| node.disk.durable().conf_index >= index)
        })
    }

    /// A node that was removed, whether or not it knows, ends when all that stay know. It may be in no position to hear it: who it
    /// speaks to can be gone, too. (A scheduler would tell it.)
    pub(super) fn go_if_all_know(&mut self, id: u64) {
        let last = self.monitors.groups.last_change();
        if self.monitors.groups.removed(id, last) && self.all_know(last) {
            self.destroy(id);
        }
    }

    /// A node that was removed ends for good.
    pub(super) fn destroy(&mut self, id: u64) {
        if self.gone.insert(id)
            && let Some(node) = self.nodes.get_mut(&id)
        {
            node.kill(0);
            self.statuses.remove(&id);
            self.monitors.on_crash(&self.nodes[&id]);
            *self.lives.entry(id).or_default() += 1;
        }
    }

    /// Whether the sender was removed, and the receiver knows it: then it does not listen, and the sender learns it.
    pub(super) fn speaks_from_the_grave(&mut self, mail: &Mail) -> bool {
        let (from, to) = (mail.msg.from, mail.msg.to);
        let known = self.nodes[&to].disk.durable().conf_index;
        // The wish for another leader carries the name of that one.
        let speaks = mail.kind() != MessageType::MsgTransferLeader
            && self.monitors.groups.removed(from, known)
            && self.may_go(known);
        if speaks && !self.cut.contains(&(to, from)) {
            let delay = 1 + self.draw(TICK);
            self.at(delay, Event::Tombstone(from));
        }
        speaks
    }
}
