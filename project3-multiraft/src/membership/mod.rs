//! 3A: a Raft node whose members change, and whose leader can hand over.
//!
//! # The idea
//!
//! Project 2's core lets its members be set at any time, and knows nothing of *when* that is safe. This module is
//! that knowledge. [`MemberNode`] wraps the core's `RawNode`, and stands at its three doors: it looks at each `step`,
//! `tick` and `propose` before the core does, and at what has become of the core afterwards. Nothing in project 2 is
//! edited for it.
//!
//! # How the members change
//!
//! One voter at a time (thesis 4.1): of two sets of voters that differ in one node, any two majorities share a
//! node, so that the old group and the new one can never decide two things. A change is an entry of the log, like a
//! write; it counts from the moment when a node *applies* it. (In the paper it counts when it is appended. Applying is
//! later, and the same on all nodes; etcd and TiKV chose it, too.) Three rules make that safe:
//!
//! 1. A leader has at most one change in its log that it has not applied. It remembers the index of the last one in
//!    `pending_conf_index`. A new leader cannot know what is in the tail that it inherited: it takes the end of
//!    its log, the first entry of its own term included, for a change.
//! 2. A node that knows of a committed change, and has not applied it, does not campaign: it would count the votes of
//!    a group that is gone.
//! 3. Changes that break a rule do not get into the log, whoever proposes them: a proposer here gets an error, and in
//!    a message that a follower passed on they are replaced by entries that do nothing.
//!
//! Rules 1 and 2 together say: who has change number *n* in its log has applied number *n - 1* before it asks for a
//! vote. So the groups that any two candidates and leaders count by are never more than one change apart.
//!
//! # How a leader hands over
//!
//! The leader is told whom to ([`MembershipNode::transfer_leader`], or a MsgTransferLeader). From then on it takes no
//! proposals, so that the other can catch up. When it has, it gets a MsgTimeoutNow: "your election timeout is over". It
//! campaigns at once, with the best log there is, and wins. If that did not happen within an election timeout,
//! the leader gives up, and goes on (thesis 3.10).
//!
//! | file | what it is |
//! |---|---|
//! | [`seam`] | [`MembershipNode`]: what project 3's peers drive |
//! | [`node`] | [`MemberNode`]: the three doors, and what a leader must remember |
//! | [`conf`] | the arithmetic of members; a change is applied, or closes the door to a campaign |
//! | [`change`] | a change is proposed |
//! | [`transfer`] | a leader hands over |
//! | [`error`] | why not |
//! | [`joint`] | several members at once: extra credit, stage 3X |
//!
//! # Invariants
//!
//! - `pending_conf_index` is at or behind the last change in a leader's log, and never falls within a leadership.
//! - A transfer belongs to one leadership: who does not lead has no transferee.
//!
//! # Left out
//!
//! A learner is promoted when it is asked for, whether or not it has caught up; whoever asks (the scheduler) looks first.
//! One voter at a time has a price: a replica which moves goes through a group with one voter more or less, so that a region
//! of three has four voters for a moment, or two. TiKV goes from three to three in one step, with joint consensus
//! (paper, section 6): that is [`joint`], extra credit, which the stores of 3B do not use.

pub mod change;
pub mod conf;
pub mod error;
pub mod joint;
pub mod node;
pub mod seam;
pub mod transfer;

pub use error::{Error, Result};
pub use node::{MemberNode, Node};
pub use seam::{MemberStatus, MembershipNode};
