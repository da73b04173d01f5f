//! The simulator: what stands between a suite and the code it judges.
//!
//! A suite is one side of a conversation. It holds the seed, the clock, the disk's bytes, the
//! expected values and the verdict. On the other side is the *subject*: the student's code, or the
//! reference, or another implementation. Between them go only plain values that serialise: an
//! input in, a list of effects out ([`seam`]). Nothing in a suite holds a reference into the
//! subject's memory, calls its `PartialEq`, or believes what it prints.
//!
//! That is why the same test runs in two ways without knowing which:
//!
//! - **In one process** ([`link::InProcess`]): the student's fast loop, good with a debugger.
//! - **Judge and subject** ([`link::Process`]): two processes and a pipe. The judge links no student
//!   code, so nothing that the subject does to its own memory, its panic hook or its exit code can
//!   turn a failure into a pass.
//!
//! Around the seam stand the parts that every suite needs:
//!
//! - [`disk`]: a disk that remembers what was synced and loses, on a crash, some of what was not.
//! - [`executor`]: polls futures on one thread, in an order that a seed decides.
//! - [`rng`]: the one generator; the same seed gives the same run on every machine.
//! - [`failure`]: three verdicts, and a failure that says what broke and the two facts that
//!   contradict each other.
//! - [`harness`]: the command line that `cargo test`, `cargo grade` and the judge share.
//!
//! And for clusters, from project 2 on:
//!
//! - [`cluster`]: the vocabulary of one store, and setups, faults and plans as plain data.
//! - [`world`]: the loop that drives stores, network, disks, clocks and clients.
//! - [`scenario`]: a random test in ten lines; [`shrink`] makes its failing plan shorter.
//! - [`monitors`]: the properties of Raft, after every event; [`history`] and [`linear`]: what clients
//!   were told, and whether one copy of the data could have said it; [`isolation`]: the same for transactions.
//! - [`trace`]: what happened, as JSON lines and as a hash; [`coverage`]: what was exercised.
//!
//! # Invariants
//!
//! - A run is a function of its seed and of the subject's code: no clock, no thread and no operating
//!   system randomness decides anything here. The one wall-clock limit is a backstop against a
//!   subject that never answers, and its verdict is *undecided*, never *fail*.
//! - What the subject sends is input from a stranger: frames are bounded, and what does not decode
//!   ends the run with a sentence, not a panic.
//!
//! Left out: disks that lie about a sync, bits that rot, bytes that change on the way (the checksums
//! of the engine and of gRPC stand there), and threads inside a store (what they would do is a job in a
//! lane). The idea of driving the real code from one seeded loop is FoundationDB's; TigerBeetle's VOPR
//! and `turmoil` are other forms of it.

pub mod cluster;
pub mod coverage;
pub mod disk;
pub mod executor;
pub mod failure;
pub mod harness;
pub mod history;
pub mod isolation;
pub mod linear;
pub mod link;
pub mod monitors;
pub mod rng;
pub mod scenario;
pub mod seam;
pub mod shrink;
pub mod trace;
pub mod world;
