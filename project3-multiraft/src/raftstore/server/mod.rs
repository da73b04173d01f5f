//! The edge of a store: threads, sockets and the machine's clock, round a [`Store`](super::Store) that knows none of them.
//! (Written by the lead of this session: in the making.)
//!
//! ```text
//!   clients ──gRPC──> TikvService ─ RawApi ─ RaftStorage ──┐ inbox (bounded)        ┌──> log writer thread ──> raft.redb
//!   stores ───gRPC──> StoreService ────────────────────────┴──> loop thread: Store ─┼──> region worker thread ─> kv.redb
//!   stores <──gRPC── Transport: a queue and a stream a store <──────────────────────┤
//!   scheduler <──gRPC── Reports: heartbeats out, orders and ids in <─────────────────┘
//! ```
