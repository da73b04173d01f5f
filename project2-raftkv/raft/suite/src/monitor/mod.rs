//! What must hold over all nodes, checked after every event.
//!
//! These are the five properties of figure 3 of the paper, and what an implementation must add so that
//! they survive crashes. A monitor sees what a network sees (messages that leave), what a disk sees
//! (Readys), and what a node says of itself; it never looks inside.
//!
//! | property | where |
//! |---|---|
//! | Election Safety; one vote a term and node, over restarts too; votes durable before they leave | [`votes`] |
//! | Leader Append-Only; Log Matching; an acknowledgement is durable, and stays | [`logs`] |
//! | Leader Completeness; State Machine Safety; a commit has a durable majority | [`commits`] |
//! | the members that two nodes decide by are at most one change apart | [`groups`] |
//! | a read is never older than what was committed when it was asked | [`reads`] |
//!
//! What one node must keep by itself is in [`Discipline`](crate::world::node::Discipline).

pub mod commits;
pub mod groups;
pub mod logs;
pub mod reads;
pub mod votes;

use std::collections::BTreeMap;

use sim::failure::Outcome;

use crate::mail::Mail;
use crate::protocol::{Role, Status};
use crate::world::{Node, Taken, When};

/// The nodes of a world, by id.
pub type Nodes<'l> = BTreeMap<u64, Node<'l>>;

/// All monitors of one run.
#[derive(Debug, Default)]
pub struct Monitors {
    /// Who voted for whom, who led when.
    pub votes: votes::Votes,
    /// What the logs hold.
    pub logs: logs::Logs,
    /// What is committed, what was applied.
    pub commits: commits::Commits,
    /// Who the members were, when.
    pub groups: groups::Groups,
    /// Which reads are under way.
    pub reads: reads::Reads,
}

impl Monitors {
    /// Takes note of what is on the disks at the start.
    ///
    /// # Errors
    /// When two disks contradict each other; then the test is wrong.
    pub fn start(&mut self, nodes: &Nodes<'_>) -> Outcome {
        nodes.values().try_for_each(|node| self.join(node))
    }

    /// One more node was started.
    ///
    /// # Errors
    /// As [`Monitors::start`].
    pub fn join(&mut self, node: &Node<'_>) -> Outcome {
        self.groups.start(node);
        self.logs.start(node)
    }

    /// A node says this of itself, after an event and before its Readys are taken.
    ///
    /// # Errors
    /// When a property is broken; the same holds for everything below.
    pub fn on_status(&mut self, when: When, id: u64, status: &Status) -> Outcome {
        self.votes.on_status(when, id, status)
    }

    /// A Ready was taken from a node. Its disk's queue already has it.
    ///
    /// # Errors
    /// As [`Monitors::on_status`].
    pub fn on_ready(
        &mut self,
        when: When,
        nodes: &Nodes<'_>,
        id: u64,
        status: &Status,
        taken: &Taken,
    ) -> Outcome {
        self.logs.on_ready(when, id, status, taken)?;
        if status.role == Role::Leader {
            self.logs.on_leader(&nodes[&id], status.term);
        }
        self.commits.on_apply(when, id, taken)?;
        self.reads.on_ready(when, id, taken)
    }

    /// The Readys of a node were taken; now everything that it knows can be held against the disks.
    ///
    /// # Errors
    /// As [`Monitors::on_status`].
    pub fn on_rest(&mut self, when: When, nodes: &Nodes<'_>, id: u64, status: &Status) -> Outcome {
        if status.role == Role::Leader {
            self.commits.on_leader(when, nodes, id, status.term)?;
            self.groups.on_leader(when, &nodes[&id], status)?;
        }
        self.commits.on_commit(when, nodes, id, status)
    }

    /// A node has applied entries; there may be changes of members among them.
    ///
    /// # Errors
    /// As [`Monitors::on_status`].
    pub fn on_applied(&mut self, when: When, node: &Node<'_>) -> Outcome {
        self.groups.on_applied(when, node)
    }

    /// A message leaves a node.
    ///
    /// # Errors
    /// As [`Monitors::on_status`].
    pub fn on_leave(&mut self, when: When, nodes: &Nodes<'_>, mail: &Mail) -> Outcome {
        let Some(node) = nodes.get(&mail.msg.from) else { return Ok(()) };
        self.votes.on_leave(when, node, mail)?;
        self.logs.on_leave(when, node, mail)
    }

    /// A node died, and lost what was not durable.
    pub fn on_crash(&mut self, node: &Node<'_>) {
        self.logs.on_crash(node);
        self.commits.on_crash(node.id);
        self.groups.on_crash(node.id);
    }
}
