//! Project 3: many regions.
//!
//! The key space is cut into regions that split, move between stores and change their members while clients keep
//! writing, and a scheduler (TiKV's PD) tells them to.
//!
//! | module | what it is |
//! |---|---|
//! | [`membership`] | 3A: a Raft node whose members change and whose leader can hand over |
//! | [`raftstore`] | 3B: a store of many peers |
//! | [`scheduler`] | 3C: who knows where everything is, and moves it |
//! | `failpoints` | where a real store can be made to die, for tests |

#![deny(missing_docs)]

mod failpoints;
pub mod membership;
pub mod raftstore;
pub mod scheduler;
