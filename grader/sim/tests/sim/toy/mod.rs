//! A toy replicated store: a small Raft without snapshots, and a list of mistakes that can be switched on.
//!
//! It exists to be judged: correct, it must pass everything; with a mistake, the simulator must name it.

pub mod raft;
mod store;
pub mod wal;

use serde::{Deserialize, Serialize};
use sim::cluster::dialect::{Ack, Answer, Dialect, MessageInfo, Vote};
use sim::cluster::protocol::{Channel, NodeId};
use sim::cluster::setup::Setup;
use sim::history::{Op, OpResult};

pub use store::Toy;

/// What is wrong with a toy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bug {
    None,
    /// Grants every vote it is asked for.
    VotesTwice,
    /// Votes are never written.
    ForgetsVotes,
    /// A leader replaces its last entry, if it is not committed, by the next proposal.
    LeaderRewrites,
    /// A follower takes entries whatever stands before them.
    NoPrevCheck,
    /// A voter does not compare logs.
    NoUpToDateCheck,
    /// A leader counts copies of older terms' entries.
    Figure8,
    /// Store 2 leaves out every fifth command when it applies.
    SkipsCommands,
    /// A leader takes for committed what only it has.
    CommitsAlone,
    /// A client is answered when its command is in the leader's log.
    AnswersEarly,
    /// A follower acknowledges entries before its log writer has written them.
    AcksBeforeSync,
    /// Whoever thinks it leads answers reads from its own state.
    LocalReads,
    /// Each request is answered twice.
    AnswersTwice,
    /// A deposed leader forgets what it owes.
    NeverAnswers,
    /// Messages leave in the order of a std `HashSet`.
    HashOrder,
    /// After the first leader nobody ever campaigns again.
    NoSecondElection,
    /// Goes on when its disk fails.
    IgnoresDiskErrors,
    /// What is late is called refused.
    LiesAboutLateness,
}

/// What a toy is told at the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    pub members: Vec<NodeId>,
    pub bug: Bug,
    /// Write and sync inside the input, without a log writer.
    pub inline: bool,
}

/// A world of toys.
pub fn setup(count: u64, bug: Bug) -> Setup {
    let config = Config { members: (1..=count).collect(), bug, inline: false };
    Setup::new(count, |_| postcard::to_stdvec(&config).unwrap())
}

/// The same, without a log writer.
pub fn inline_setup(count: u64, bug: Bug) -> Setup {
    let config = Config { members: (1..=count).collect(), bug, inline: true };
    Setup::new(count, |_| postcard::to_stdvec(&config).unwrap())
}

/// An entry of the log: nothing (a leader's first), or a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub term: u64,
    pub command: Option<Op>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    RequestVote { term: u64, last: (u64, u64) },
    Vote { term: u64, granted: bool },
    Append { term: u64, prev: (u64, u64), entries: Vec<Entry>, commit: u64 },
    Appended { term: u64, ok: bool, index: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Response {
    Done(OpResult),
    NotLeader(Option<NodeId>),
}

/// Speaks toy. `true`: tells the monitors what messages promise.
pub struct ToyDialect(pub bool);

pub fn dialect() -> Box<dyn Dialect> {
    Box::new(ToyDialect(true))
}

/// So that what follows from a broken promise is found, not the broken promise.
pub fn tight_lipped() -> Box<dyn Dialect> {
    Box::new(ToyDialect(false))
}

impl Dialect for ToyDialect {
    fn request(&mut self, _: u64, op: &Op, _: NodeId) -> (String, Vec<u8>) {
        ("toy".into(), postcard::to_stdvec(op).unwrap())
    }

    fn answer(&mut self, _: u64, _: &Op, _: NodeId, response: &[u8]) -> Answer {
        match postcard::from_bytes(response) {
            Ok(Response::Done(result)) => Answer::Result(result),
            Ok(Response::NotLeader(hint)) => Answer::NotLeader(hint),
            Err(e) => Answer::Nonsense(e.to_string()),
        }
    }

    fn message(&mut self, _: NodeId, to: NodeId, _: Channel, bytes: &[u8]) -> MessageInfo {
        let info = |kind: &str, text: String| MessageInfo {
            kind: kind.into(),
            text,
            region: 1,
            ..MessageInfo::default()
        };
        match postcard::from_bytes(bytes).unwrap() {
            Message::RequestVote { term, last } => {
                info("RequestVote", format!("term={term} last={}@{}", last.0, last.1))
            }
            Message::Vote { term, granted } => MessageInfo {
                vote: (granted && self.0).then_some(Vote { term, candidate: to }),
                ..info("Vote", format!("term={term} granted={granted}"))
            },
            Message::Append { prev, entries, commit, .. } => {
                let mut index = prev.0;
                let shown: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        index += 1;
                        format!("{index}@{}", entry.term)
                    })
                    .collect();
                info(
                    "Append",
                    format!("base={}@{} [{}] commit={commit}", prev.0, prev.1, shown.join(" ")),
                )
            }
            Message::Appended { term, ok, index } => MessageInfo {
                ack: (ok && self.0).then_some(Ack { term, index }),
                ..info("Appended", format!("ok={ok} index={index}"))
            },
        }
    }
}
