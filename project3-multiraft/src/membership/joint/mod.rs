//! 3X, extra credit: several members change at once (paper, section 6; joint consensus).
//!
//! # The idea
//!
//! One voter at a time has a price. A replica that moves from one store to another is added first and removed then, or
//! the other way round: a region of three has two voters for a while, and needs both; or has four, needs three, and stands still if the
//! one that is to go fails together with the one that comes. Two changes that are each safe make a time in which less may fail.
//!
//! With joint consensus a group goes from any voters to any others in one change. It may not do so in one *step*: nodes
//! apply the change at different moments, and of {n1 n2 n3} and {n1 n4 n5} two majorities can be found that share no
//! node. So there is a time between, in which there are two sets of voters, the old half and the new one, and whatever
//! is decided needs a majority of *each*:
//!
//! ```text
//!   {n1 n2 n3}  --- enter --->  {n1 n4 n5, outgoing n1 n2 n3}  --- leave --->  {n1 n4 n5}
//!    old alone                      both must agree                            new alone
//! ```
//!
//! Who counts by the old half alone, and who counts by both, share a node in the old half; who counts by both, and who
//! counts by the new one alone, share one in the new. Old alone and new alone never count at the same time: the
//! step from one to the other takes an entry that both have committed.
//!
//! # What is new
//!
//! | file | what it is | hole |
//! |---|---|---|
//! | [`quorum`] | [`Joint`]: both halves must agree | 3X.quorum |
//! | [`conf`] | what entering and leaving make of the members | 3X.enter, 3X.leave |
//! | [`node`] | [`JointNode`]: around a [`MemberNode`](super::MemberNode) as that is around the core | 3X.apply, 3X.propose, 3X.go, 3X.sift, 3X.auto_leave |
//!
//! The core was not edited for it: it asks whatever [`Quorum`](raftcore::Quorum) its `Config` makes of a configuration.
//! The rules of 3A hold as they are: a change counts when it is applied, one at a time, and nobody campaigns who has not
//! applied one that is committed. So any two that count are one *step* apart, and entering and leaving are a step each.
//!
//! One rule is new. **A leader needs a vote in the new half to leave the old one.** Else it would apply the end, be no
//! member any more, and go; and nobody else may know yet that the end is committed. If the old half had two voters, the
//! one that is left asks the dead for its vote, for ever. So a leader that is about to lose its vote hands over
//! first, to a voter that stays.
//!
//! # What a store must see to
//!
//! Nodes count by what they have *applied*. When the end is committed, and a member that stays has not heard of it, that
//! one still needs votes of the old half. So a replica of the old half must be able to vote until all that stay know: a store that destroys
//! two of three as soon as one member says that they are gone may leave the others without a majority. (One at a time, the old
//! group has a majority without the one that goes.) raft-rs has a second way out: votes carry the commit index.
//!
//! # The names
//!
//! Those of etcd and raft-rs: `voters` are the new half, `voters_outgoing` the old; a voter of the old half that becomes a
//! learner waits in `learners_next`, for no node is voter and learner at once; `auto_leave` says that the leader ends
//! it by itself. The bytes are `eraftpb`'s, and raft-rs passes the tests of this stage.
//!
//! # Left out
//!
//! The stores of 3B move their regions one replica at a time, as TiKV did at first: `ChangePeerV2` of the scheduler and
//! its operators are not there.

pub mod conf;
pub mod node;
pub mod quorum;

pub use node::JointNode;
pub use quorum::Joint;
