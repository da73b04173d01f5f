//! What can go wrong, sorted by who must act.
//!
//! Two kinds, for two readers. A [`Refusal`] is an answer to a client: somebody asked for something that this peer
//! cannot or must not do. An [`Error`] is this store's own trouble: it stops, and an operator reads the text.

use proto::errorpb;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store must stop. After any of these nothing more may be promised: drop the store, and open another from
/// what is durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// One of the two databases failed.
    #[error(transparent)]
    Engine(#[from] standalone::Error),

    /// The consensus core failed, most likely because its log could not be read.
    #[error(transparent)]
    Raft(#[from] raftcore::Error),

    /// What lies on the disk cannot have been left by a crash: a file was lost, replaced or damaged.
    #[error(
        "the store is corrupt ({0}): move its data away and replace it by a new store with a new id"
    )]
    Corrupt(String),

    /// The disk belongs to somebody else.
    #[error(
        "this disk belongs to store {found} and was opened as store {wanted}: check --id and --data"
    )]
    WrongStore {
        /// Whose disk it is.
        found: u64,
        /// Who opened it.
        wanted: u64,
    },

    /// The configuration cannot be used.
    #[error("bad configuration: {0}")]
    Config(String),

    /// The system did not give us something (a thread, a runtime).
    #[error("cannot {doing}: {what}")]
    System {
        /// What we were doing.
        doing: &'static str,
        /// What the system said.
        what: String,
    },
}

/// Why a request was not served, as its client must be told.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The wrong place or the wrong time; says where to go. Definite.
    #[error("{}", .0.message)]
    Region(Box<errorpb::Error>),

    /// The request is wrong, and would be on every replica. Definite.
    #[error("{0}")]
    Invalid(String),

    /// Too much waits here already, or the leader is not ready: ask again in a moment. Definite, and never shown to
    /// a client: the edge holds the request and tries again.
    #[error("not now: {0}")]
    Later(String),

    /// Nobody knows whether it has happened or will. Indefinite.
    #[error("the fate of the request is unknown: {0}")]
    Unknown(String),
}

impl Refusal {
    /// True when the request surely has not happened, and never will.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Refusal::Unknown(_))
    }
}

impl From<Refusal> for standalone::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Region(error) => standalone::Error::Region(error),
            Refusal::Invalid(text) => standalone::Error::Refused(text),
            Refusal::Later(what) | Refusal::Unknown(what) => {
                standalone::Error::Io { doing: "replicate a request", what }
            }
        }
    }
}
