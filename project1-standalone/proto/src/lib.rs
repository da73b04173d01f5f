//! What goes over the wire, and what lies on disk: TiKV's messages and services.
//!
//! Whoever wants official TiKV clients to talk to a server of this course has to speak their
//! language to the byte. A protobuf message on the wire is a list of *field numbers* with values;
//! names and comments never leave the house. So the files in `proto/` are written for this course,
//! in its own words, but every package, message, field number and enum value is the one that TiKV
//! uses (`kvproto`, and raft-rs for [`eraftpb`]). What the four projects have no use for is left
//! out and its number is `reserved`: a receiver skips fields that it does not know.
//! `grader/interop` proves the agreement against the official types.
//!
//! One module for each package, from the inside out:
//!
//! | module | what it holds | first used in |
//! |---|---|---|
//! | [`metapb`] | stores, regions, peers, epochs | project 1 |
//! | [`errorpb`] | "you are at the wrong place": region errors | project 1 |
//! | [`kvrpcpb`] | what clients ask of a store, raw and transactional | projects 1, 4 |
//! | [`eraftpb`] | Raft: entries, messages, what a node must not forget | project 2 |
//! | [`raft_cmdpb`] | the content of log entries: commands to a region | project 2 |
//! | [`raft_serverpb`] | Raft between stores, and a peer's state on disk | projects 2, 3 |
//! | [`pdpb`], [`keyspacepb`] | what stores and clients ask of the scheduler | project 3 |
//! | [`deadlock`] | who waits for whom | project 4 |
//! | [`tikvpb`] | the service of a store | projects 1, 3, 4 |
//!
//! What is worth knowing about the Rust side:
//!
//! - Every `bytes` field is a [`bytes::Bytes`]: cloning one copies no data, and a message decoded
//!   from a `Bytes` buffer points into that buffer (a small key keeps a large buffer alive).
//! - A message field is an `Option`; a number or a string that was not sent is 0 or empty. There is
//!   no way to tell "absent" from "zero", which is why many messages have a `not_found` beside the
//!   value.
//! - An enum field is an `i32`, since a newer sender may know values that we do not. Read it with
//!   the accessor of the same name (`message.msg_type()`, unknown values become the first one), or
//!   with `MessageType::try_from` where that would be wrong.
//! - Encoding is deterministic here (maps are `BTreeMap`s), though protobuf does not promise it.
//!
//! Features: `services` adds tonic's clients and servers (`tikvpb::tikv_server::Tikv`,
//! `pdpb::pd_client::PdClient`, ...); methods that a server leaves out answer UNIMPLEMENTED.
//! Consensus needs messages only, and so it builds in seconds. `descriptor` adds
//! `FILE_DESCRIPTOR_SET`, the description of all messages as bytes.

/// The packages as prost and tonic write them. Their code is not ours to tidy, so lints that are
/// about style are silent in it.
macro_rules! package {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[allow(missing_docs, deprecated, clippy::all, clippy::pedantic)]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

package! {
    /// What a cluster is made of: stores, and regions whose copies (peers) lie on them.
    metapb
}

package! {
    /// Region errors: the request came to the wrong place, or at the wrong time.
    errorpb
}

package! {
    /// What clients ask of a store: the raw API, transactions, and tools.
    ///
    /// Every request opens with a [`Context`](kvrpcpb::Context). An answer can fail on three levels:
    /// a `region_error` (ask elsewhere), a [`KeyError`](kvrpcpb::KeyError) (another transaction is
    /// in the way), or an `error` text (the request makes no sense).
    kvrpcpb
}

package! {
    /// Raft itself: what the replicas of one group say to each other and what they keep on disk.
    eraftpb
}

package! {
    /// What is proposed to a region's Raft group: the content of log entries.
    raft_cmdpb
}

package! {
    /// What stores send to each other, and what a store keeps on its own disk.
    raft_serverpb
}

package! {
    /// What stores and clients ask of the scheduler (PD, the placement driver).
    pdpb
}

package! {
    /// Keyspaces: tenants that share one cluster.
    keyspacepb
}

package! {
    /// Who waits for whom among pessimistic transactions.
    deadlock
}

package! {
    /// The service of a store, and the messages that pack many calls into one stream.
    tikvpb
}

/// All messages and services as an encoded `google.protobuf.FileDescriptorSet`, without comments:
/// for gRPC reflection, and for tests that walk over every field there is.
#[cfg(feature = "descriptor")]
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
