//! Why members do not change now, or leadership does not go over, sorted by who must act.
//!
//! | who acts | variants |
//! |---|---|
//! | the caller, at another node | [`Error::HandsOver`], `Error::Raft(NoLeader)` |
//! | the caller, a little later | [`Error::ChangePending`], [`Error::InJoint`], [`Error::CannotLead`], `Error::Raft(Refused)` |
//! | whoever asked for it: it never makes sense | [`Error::BadChange`] |
//! | the driver: stop this node | `Error::Raft(Storage)` |

/// The module's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why not. All are definite, but a storage that failed: nothing was appended, nobody was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The core refuses.
    #[error(transparent)]
    Raft(#[from] raftcore::Error),

    /// An earlier change may be in the log and not applied, or this leader has not applied an entry of its term.
    /// Try again when `applied` has reached `pending`.
    #[error(
        "a change may be under way: everything up to {pending} must be applied, and {applied} is"
    )]
    ChangePending {
        /// Where the last change may be.
        pending: u64,
        /// What is applied here.
        applied: u64,
    },

    /// The group is in a joint configuration: it must leave that before the next change.
    #[error("the group has two halves, and must leave the old one before the next change")]
    InJoint,

    /// The leader would lose its own vote, and only one other voter is there, or several change at once: it hands over
    /// first. Ask there.
    #[error("this leader cannot give up its vote before it has handed over to {to}")]
    HandsOver {
        /// Who is to lead.
        to: u64,
    },

    /// No group can do that. Deterministic: every replica finds the same.
    #[error("bad change: {0}")]
    BadChange(&'static str),

    /// Leadership cannot go to this node, for now or for ever.
    #[error("node {id} cannot take over: {why}")]
    CannotLead {
        /// Which node.
        id: u64,
        /// Why not.
        why: &'static str,
    },
}

impl Error {
    /// True when the request surely had no effect.
    pub fn is_definite(&self) -> bool {
        match self {
            Error::Raft(error) => error.is_definite(),
            _ => true,
        }
    }
}
