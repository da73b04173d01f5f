//! Several nodes and a network without delay.
//!
//! A message that leaves a node is at the end of one queue, first in, first out, until nobody says
//! anything. Links can be cut, kinds of messages lost. Every Ready is durable at once. So a story can be
//! told step by step: `net.campaign(1)`, `net.isolate(1)`, `net.propose(2, b"x")`.
//!
//! When a leader tells its followers what is committed is its own affair (at once, with the next
//! append, with the next heartbeat): ask for it with [`Net::beats`].

use std::collections::{BTreeSet, VecDeque};

use proto::eraftpb::{ConfState, Entry, Message, MessageType};
use sim::failure::{Failure, Outcome, show};

use crate::mail::Mail;
use crate::members::{self, Change};
use crate::monitor::{Monitors, Nodes};
use crate::notation;
use crate::protocol::{Input, Role, Status};
use crate::world::recorder::Recorder;
use crate::world::{Lab, Node, Setup};

/// A group on a network without delay.
pub struct Net<'l> {
    lab: &'l Lab<'l>,
    /// The nodes that were started; a member of the group that is not here is down for good.
    pub nodes: Nodes<'l>,
    /// What must hold, checked after every step.
    pub monitors: Monitors,
    queue: VecDeque<Mail>,
    cut: BTreeSet<(u64, u64)>,
    ignored: BTreeSet<i32>,
    // (from, to): a transport tells a leader what became of its snapshot, but not in no time.
    lost_snapshots: Vec<(u64, u64)>,
    /// These apply nothing, until they are told to ([`Net::apply`]).
    pub late: BTreeSet<u64>,
    /// Appends are shortened by this, as if their leader had sent less at a time.
    pub shorten: Option<fn(&mut Message)>,
    /// Everything that was sent, delivered or not.
    pub sent: Vec<Mail>,
}

/// So many messages after one step are too many.
const DELIVERIES: usize = 20_000;

impl<'l> Net<'l> {
    pub(super) fn new(lab: &'l Lab<'l>, nodes: Nodes<'l>) -> Outcome<Self> {
        let mut net = Net {
            lab,
            nodes,
            monitors: Monitors::default(),
            queue: VecDeque::new(),
            cut: BTreeSet::new(),
            ignored: BTreeSet::new(),
            lost_snapshots: Vec::new(),
            late: BTreeSet::new(),
            shorten: None,
            sent: Vec::new(),
        };
        net.monitors.start(&net.nodes)?;
        Ok(net)
    }

    /// The ids of the nodes that were started.
    pub fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// A node.
    ///
    /// # Errors
    /// When there is no such node: the test is wrong.
    pub fn node(&mut self, id: u64) -> Outcome<&mut Node<'l>> {
        self.nodes
            .get_mut(&id)
            .ok_or_else(|| Failure::Undecided { why: format!("the test has no node {id}") })
    }

    /// What a node says of itself.
    ///
    /// # Errors
    /// When the node fails, or a rule is broken; the same holds for everything below.
    pub fn status(&mut self, id: u64) -> Outcome<Status> {
        self.node(id)?.status()
    }

    /// Nothing goes from `from` to `to` any more.
    pub fn cut_one_way(&mut self, from: u64, to: u64) {
        self.cut.insert((from, to));
        self.lab.tell(|told, now| told.cuts(now, &self.cut));
    }

    /// Nothing goes between these two any more.
    pub fn cut(&mut self, a: u64, b: u64) {
        self.cut.extend([(a, b), (b, a)]);
        self.lab.tell(|told, now| told.cuts(now, &self.cut));
    }

    /// Nothing goes to or from this node any more.
    pub fn isolate(&mut self, id: u64) {
        let others = self.ids().into_iter().filter(|other| *other != id);
        self.cut.extend(others.flat_map(|other| [(id, other), (other, id)]));
        self.lab.tell(|told, now| told.cuts(now, &self.cut));
    }

    /// Messages of this kind are lost.
    pub fn ignore(&mut self, kind: MessageType) {
        self.ignored.insert(kind.into());
    }

    /// All links work again, and no kind of message is lost.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.lab.tell(Recorder::heals);
        self.ignored.clear();
        self.shorten = None;
    }

    /// Makes a node campaign, and delivers until nobody says anything.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn campaign(&mut self, id: u64) -> Outcome {
        self.order(id, Input::Campaign).map(drop)
    }

    /// Proposes at a node; the result is the node's own.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn try_propose(&mut self, id: u64, data: &[u8]) -> Outcome<Result<(), String>> {
        self.order(id, Input::Propose(data.to_vec().into()))
    }

    /// Proposes at a leader, which must take it.
    ///
    /// # Errors
    /// As [`Net::status`], and when the proposal is refused.
    pub fn propose(&mut self, id: u64, data: &[u8]) -> Outcome {
        self.try_propose(id, data)?.map_err(|why| {
            Failure::broke(
                "a leader refuses a proposal",
                format!("n{id} leads, and was given {}", show(data)),
                format!("it refuses: {why}"),
            )
        })
    }

    /// Asks a node for a read.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn read(&mut self, id: u64, context: &[u8]) -> Outcome {
        self.monitors.reads.ask(id, context, self.monitors.commits.highest());
        // A refusal is an answer, too: there is no read then.
        self.order(id, Input::ReadIndex(context.to_vec().into())).map(drop)
    }

    /// One tick of one node.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn tick(&mut self, id: u64) -> Outcome {
        let lost = std::mem::take(&mut self.lost_snapshots);
        let (mine, others) = lost.into_iter().partition(|(from, _)| *from == id);
        self.lost_snapshots = others;
        let mine: Vec<(u64, u64)> = mine;
        for (_, to) in mine {
            let _ = self.order(id, Input::ReportSnapshot(to, false))?;
        }
        self.order(id, Input::Tick).map(drop)
    }

    /// One tick of every node.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn tick_all(&mut self) -> Outcome {
        self.ids().into_iter().try_for_each(|id| self.tick(id))
    }

    /// Three heartbeat intervals of a leader: enough for every follower that it reaches to learn all
    /// there is to learn.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn beats(&mut self, leader: u64) -> Outcome {
        let ticks = 3 * self.node(leader)?.config().heartbeat_tick;
        (0..ticks).try_for_each(|_| self.tick(leader))
    }

    /// Says something to a node, and delivers until nobody says anything.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn order(&mut self, id: u64, input: Input) -> Outcome<Result<(), String>> {
        let result = self.node(id)?.order(input)?;
        self.after(id)?;
        self.deliver_all()?;
        Ok(result)
    }

    /// Puts a message on the network, and delivers until nobody says anything.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn send(&mut self, message: Message) -> Outcome {
        self.queue.push_back(message.into());
        self.deliver_all()
    }

    /// Kills a node and starts it on what is durable, which here is all that it knew.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn crash(&mut self, id: u64) -> Outcome {
        self.node(id)?.kill(0);
        self.monitors.on_crash(&self.nodes[&id]);
        let applied = self.nodes[&id].disk.durable().truncated.0;
        self.node(id)?.boot(applied)?;
        self.after(id)?;
        self.deliver_all()
    }

    /// One more node is started. Whether it is a member, the others say.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn join(&mut self, setup: Setup) -> Outcome {
        let node = self.lab.node(setup)?;
        self.monitors.join(&node)?;
        self.nodes.insert(node.id, node);
        Ok(())
    }

    /// A node was removed, and is destroyed.
    pub fn destroy(&mut self, id: u64) {
        self.nodes.remove(&id);
    }

    /// Proposes a change of members at a node; the result is the node's own.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn try_change(
        &mut self,
        id: u64,
        change: impl Into<Change>,
    ) -> Outcome<Result<(), String>> {
        self.order(id, change.into().proposed())
    }

    /// Proposes a change of members at a leader, which must take it.
    ///
    /// # Errors
    /// As [`Net::status`], and when it is refused.
    pub fn change(&mut self, id: u64, change: impl Into<Change>) -> Outcome {
        let change = change.into();
        self.order(id, change.proposed())?.map_err(|why| {
            Failure::broke(
                "a leader refuses a change of members",
                format!("n{id} leads, and was asked to {}", change.show()),
                format!("it refuses: {why}"),
            )
        })
    }

    /// Asks a node to see to it that `to` leads. What it answers shows in what happens.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn transfer(&mut self, id: u64, to: u64) -> Outcome {
        self.order(id, Input::TransferLeader(to)).map(drop)
    }

    /// A node that was late applies what it was given.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn apply(&mut self, id: u64) -> Outcome {
        self.late.remove(&id);
        if let Some(index) = self.node(id)?.executed.last().map(|entry| entry.index) {
            self.apply_to(id, index)?;
        }
        self.after(id)?;
        self.deliver_all()
    }

    /// The node must have these members, as far as it has applied changes.
    ///
    /// # Errors
    /// When it has others.
    pub fn expect_members(&self, id: u64, voters: &[u64], learners: &[u64], why: &str) -> Outcome {
        self.expect_conf(
            id,
            &members::conf_state(voters.iter().copied(), learners.iter().copied()),
            why,
        )
    }

    /// As [`expect_members`](Self::expect_members), of any configuration.
    ///
    /// # Errors
    /// When it has others.
    pub fn expect_conf(&self, id: u64, wanted: &ConfState, why: &str) -> Outcome {
        let seen = members::sorted(self.nodes[&id].conf().clone());
        if seen == *wanted {
            return Ok(());
        }
        Err(Failure::broke(
            format!("the members of n{id} should be {}", members::show(wanted)),
            why,
            format!("as far as it has applied changes, they are {}", members::show(&seen)),
        ))
    }

    /// A node makes a snapshot at an index that it has applied, and forgets the log up to it.
    ///
    /// # Errors
    /// As [`Net::status`].
    pub fn compact(&mut self, id: u64, index: u64) -> Outcome {
        let data = format!("state at {index}").into_bytes();
        let _ = self.order(id, Input::MakeSnapshot(index, data.clone().into()))?;
        let _ = self.order(id, Input::Compact(index))?;
        self.node(id)?.disk.compact(index, &data);
        Ok(())
    }

    fn deliver_all(&mut self) -> Outcome {
        for _ in 0..DELIVERIES {
            let Some(mut mail) = self.queue.pop_front() else { return Ok(()) };
            if let Some(shorten) = self.shorten.filter(|_| mail.kind() == MessageType::MsgAppend) {
                shorten(&mut mail.msg);
                mail = Mail { number: mail.number, ..mail.msg.into() };
            }
            let (from, to) = (mail.msg.from, mail.msg.to);
            let ignored = self.ignored.contains(&mail.msg.msg_type);
            if ignored || self.cut.contains(&(from, to)) {
                let why = if ignored { "lost by the test" } else { "the link is cut" };
                self.lab.tell(|told, now| told.lost(now, &mail, why));
                if mail.kind() == MessageType::MsgSnapshot {
                    self.lost_snapshots.push((from, to));
                }
                continue;
            }
            if !self.nodes.contains_key(&to) {
                self.lab.tell(|told, now| told.lost(now, &mail, "nobody there"));
                continue;
            }
            self.node(to)?.deliver(&mail)?;
            self.after(to)?;
            if mail.kind() == MessageType::MsgSnapshot && self.nodes.contains_key(&from) {
                let _ = self.node(from)?.order(Input::ReportSnapshot(to, true))?;
                self.after(from)?;
            }
        }
        Err(Failure::broke(
            "the nodes never come to rest",
            format!("{DELIVERIES} messages were delivered since the last tick or proposal"),
            format!("and still {} wait", self.queue.len()),
        ))
    }

    // Takes all Readys of a node, and holds what it says and does against the monitors.
    fn after(&mut self, id: u64) -> Outcome {
        let when = self.lab.when();
        for _ in 0..50 {
            let status = self.status(id)?;
            self.monitors.on_status(when, id, &status)?;
            let Some(taken) = self.node(id)?.ready()? else {
                return self.monitors.on_rest(when, &self.nodes, id, &status);
            };
            self.monitors.on_ready(when, &self.nodes, id, &status, &taken)?;
            self.post(taken.messages)?;
            let later = self.node(id)?.persisted(taken.number)?;
            self.post(later)?;
            let restored = taken.snapshot.and_then(|s| s.metadata).map(|m| m.index);
            if let Some(index) = taken.committed.last().map(|e| e.index).or(restored)
                && !self.late.contains(&id)
            {
                self.apply_to(id, index)?;
            }
        }
        Err(self.nodes[&id].restless())
    }

    fn apply_to(&mut self, id: u64, index: u64) -> Outcome {
        let changed = self.nodes[&id].has_change(index);
        if changed {
            // What is committed by now was committed by the members of now.
            let status = self.status(id)?;
            self.monitors.on_rest(self.lab.when(), &self.nodes, id, &status)?;
        }
        self.node(id)?.applied(index)?;
        if changed {
            // Whoever is new can only use a snapshot that knows it.
            let data = format!("state at {index}").into_bytes();
            let _ = self.node(id)?.order(Input::MakeSnapshot(index, data.into()))?;
        }
        self.monitors.on_applied(self.lab.when(), &self.nodes[&id])
    }

    fn post(&mut self, mails: Vec<Mail>) -> Outcome {
        for mail in mails {
            self.monitors.on_leave(self.lab.when(), &self.nodes, &mail)?;
            self.sent.push(mail.clone());
            self.queue.push_back(mail);
        }
        Ok(())
    }

    /// The node must have this role.
    ///
    /// # Errors
    /// As [`Net::status`], and when it has another one.
    pub fn expect_role(&mut self, id: u64, role: Role, why: &str) -> Outcome {
        let status = self.status(id)?;
        if status.role == role {
            return Ok(());
        }
        Err(Failure::broke(
            format!("n{id} should be {} here", notation::role(role)),
            why,
            format!("now: {}", notation::status(id, &status)),
        ))
    }

    /// The node must have committed exactly up to `index`.
    ///
    /// # Errors
    /// As [`Net::status`], and when it has not.
    pub fn expect_commit(&mut self, id: u64, index: u64, why: &str) -> Outcome {
        let status = self.status(id)?;
        if status.committed == index {
            return Ok(());
        }
        Err(Failure::broke(
            format!("the commit index of n{id} should be {index}"),
            why,
            format!("now: {}", notation::status(id, &status)),
        ))
    }

    /// The log of a node, as it shows it from index 1 on, must have these terms.
    ///
    /// # Errors
    /// As [`Net::status`], and when it has not.
    pub fn expect_log(&mut self, id: u64, terms: &[u64], why: &str) -> Outcome {
        let log = self.log(id)?;
        let seen: Vec<u64> = log.iter().map(|entry| entry.term).collect();
        if seen == terms {
            return Ok(());
        }
        Err(Failure::broke(
            format!("the log of n{id} is not as it must be: {why}"),
            format!("expected {}", notation::log(terms)),
            format!("it shows {}", notation::entries(&log)),
        ))
    }

    /// The log of a node from its first entry to its last.
    ///
    /// # Errors
    /// As [`Net::status`], and when the node does not show it.
    pub fn log(&mut self, id: u64) -> Outcome<Vec<Entry>> {
        let first = self.nodes[&id].disk.written().truncated.0 + 1;
        let last = self.status(id)?.last_index;
        self.node(id)?.log(first, last + 1)?.map_err(|why| {
            Failure::broke(
                "a node does not show its own log",
                format!("n{id} says that its log ends at {last}"),
                format!("asked for {first}..={last}, it answers: {why}"),
            )
        })
    }
}
