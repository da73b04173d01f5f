//! Consensus alone. **Not there yet:** this crate opens with stage 2AA.
//!
//! It will hold the Raft of the extended paper as a plain state machine: `Raft`, `RaftLog`,
//! `Progress`, `RawNode` and `Ready`. It takes messages and ticks, and leaves messages and entries
//! in an outbox; it knows no socket, no disk and no clock. That is why it is a crate of its own:
//! it depends on messages only and builds in seconds.
