//! One region, replicated. **Not there yet:** this crate opens with stage 2B.
//!
//! It will put project 1's storage behind a Raft log: a `Peer` proposes each write, persists what
//! Raft asks for, applies what a majority holds, and answers. The raw handlers of project 1 run
//! unchanged on top, because `RaftStorage` is one more `standalone::Storage`.
