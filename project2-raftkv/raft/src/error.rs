//! What can go wrong, sorted by who must act.
//!
//! | who acts | variants |
//! |---|---|
//! | the caller, at another node | [`Error::NoLeader`], [`Error::NotAMember`] |
//! | the caller, a little later | [`Error::ProposalDropped`], [`Error::ReadDropped`], [`Error::Refused`] |
//! | nobody: the message was refused and changed nothing | [`Error::LocalMessage`], [`Error::UnknownPeer`], [`Error::Malformed`], [`Error::Conflict`] |
//! | whoever configured the node | [`Error::Config`] |
//! | the driver: stop this node | [`Error::Storage`] |

use proto::eraftpb::MessageType;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a node did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nobody to pass the proposal or the read on to. Ask again when there is a leader.
    #[error("there is no leader in term {term}")]
    NoLeader {
        /// The term of the node that was asked.
        term: u64,
    },

    /// A leader that is not in its own configuration any more proposes nothing: it would not be there
    /// to see the end of it.
    #[error("this leader is no longer a member of its group")]
    NotAMember,

    /// Too much waits uncommitted on this leader. Nothing was appended; ask again later.
    #[error("{waiting} bytes wait to be committed, and {limit} are allowed: try later")]
    ProposalDropped {
        /// Bytes of data that wait.
        waiting: u64,
        /// The limit, `Config::max_uncommitted_size`.
        limit: u64,
    },

    /// The leader cannot serve a read yet: it has not committed an entry of its own term, or too many
    /// reads wait already. Ask again later.
    #[error("the read cannot be served yet: {0}")]
    ReadDropped(&'static str),

    /// *Seam.* Whoever drives this core takes no proposals for a while, and says why. Nothing was appended; ask
    /// again later.
    #[error("no proposals for now: {0}")]
    Refused(&'static str),

    /// This kind of message is how an application speaks to its own node. It never crosses a network.
    #[error("a {0:?} does not come over the network")]
    LocalMessage(MessageType),

    /// An answer from a node that is no member of the group: it counts for nothing.
    #[error("node {0} is no member of the group, its answers do not count")]
    UnknownPeer(u64),

    /// No correct node sends this.
    #[error("malformed message: {0}")]
    Malformed(&'static str),

    /// A leader wants to replace an entry that is committed here. It, or this node's disk, is broken:
    /// correct nodes never get here (paper, figure 3: Leader Completeness).
    #[error(
        "the sender wants to replace entry {index}, but everything up to {committed} is committed"
    )]
    Conflict {
        /// The first entry that would be replaced.
        index: u64,
        /// The commit index.
        committed: u64,
    },

    /// The configuration cannot be used.
    #[error("bad configuration: {0}")]
    Config(String),

    /// The storage failed, and the node may be half way through something. Drop it, and start another
    /// from what is durable.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Error {
    /// True when the request surely had no effect, so that it may be tried again without a second
    /// thought. Only a failure of the storage leaves that open.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Error::Storage(_))
    }
}

/// What a [`Storage`](crate::Storage) may answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The entries asked for are only in a snapshot any more. No damage: the node sends that.
    #[error("the entry is compacted")]
    Compacted,

    /// The entries asked for were never there.
    #[error("the entry is not in the log")]
    Unavailable,

    /// A snapshot is being made; ask again later. No damage.
    #[error("the snapshot is not ready yet")]
    SnapshotTemporarilyUnavailable,

    /// Local damage.
    #[error("the log storage failed: {0}")]
    Other(String),
}
