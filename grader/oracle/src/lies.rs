//! What can be wrong.
//!
//! A lie sits between the suite and raft-rs, and changes what either says: so it needs no broken Raft to
//! show what one would look like from outside. Which one is told is in the environment variable
//! `ORACLE_LIE`; without it, none. Most are told by node 1 or 2 only, as a mistake in one place would be.

use std::sync::atomic::{AtomicU64, Ordering};

use protobuf::Message as _;
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use raft_suite::protocol::{Durable, Effect, Input, ReadyOut, Role, Status};
use serde_bytes::ByteBuf;

macro_rules! lies {
    ($($(#[$doc:meta])* $lie:ident = $name:literal,)+) => {
        /// A mistake that a Raft could make, as seen from outside.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Lie { $($(#[$doc])* $lie,)+ }

        impl Lie {
            /// All of them.
            pub const ALL: &'static [Lie] = &[$(Lie::$lie,)+];

            /// Its name in `ORACLE_LIE`.
            pub fn name(self) -> &'static str {
                match self { $(Lie::$lie => $name,)+ }
            }
        }
    };
}

lies! {
    /// The vote is not on disk when a node starts.
    ForgetsVote = "forgets-vote",
    /// The term, the vote and the commit index are not on disk when a node starts.
    ForgetsTerm = "forgets-term",
    /// No Ready ever holds a hard state.
    KeepsHardState = "keeps-hard-state",
    /// What should wait for the disk leaves at once.
    SendsEarly = "sends-early",
    /// A follower's Readys hold no entries, and it acknowledges all the same.
    StoresNothing = "stores-nothing",
    /// Refused votes are told as granted.
    VotesForAll = "votes-for-all",
    /// Vote answers of older terms count.
    CountsOldVotes = "counts-old-votes",
    /// Append answers of older terms count.
    CountsOldAnswers = "counts-old-answers",
    /// An acknowledgement names an index that is one too high.
    AcknowledgesMore = "acknowledges-more",
    /// A write counts as durable as soon as it is asked for.
    TrustsTheDisk = "trusts-the-disk",
    /// A leader writes its entries one place too low, over what is there.
    OverwritesItself = "overwrites-itself",
    /// The data of entries is changed on one node.
    ChangesData = "changes-data",
    /// The first committed entry of a Ready is handed out twice.
    AppliesTwice = "applies-twice",
    /// A committed entry is handed out with other data than is in the log.
    AppliesOther = "applies-other",
    /// A follower says that it leads.
    ClaimsToLead = "claims-to-lead",
    /// The commit index goes back now and then.
    CommitFalls = "commit-falls",
    /// What a leader says of its followers goes back now and then.
    MatchFalls = "match-falls",
    /// Reads are released without asking anybody.
    ReadsAlone = "reads-alone",
    /// There is always another Ready.
    NeverQuiet = "never-quiet",
    /// Time stands still.
    NeverTicks = "never-ticks",
    /// Ready numbers skip one.
    SkipsNumbers = "skips-numbers",
    /// A node that starts has lost the last entry of its log.
    LosesTail = "loses-tail",
    /// A refused append is told to the leader as an acknowledgement of all that it has.
    CountsRefusals = "counts-refusals",
    /// A voter takes every candidate's log for better than its own.
    IgnoresLogs = "ignores-logs",
    /// Election timeouts and all else depend on the process and not on the seed.
    Unseeded = "unseeded",
}

impl Lie {
    /// The lie that the environment asks for.
    ///
    /// # Panics
    /// When it asks for one that does not exist.
    pub fn from_environment() -> Option<Self> {
        let name = std::env::var("ORACLE_LIE").ok()?;
        let lie = Lie::ALL.iter().find(|lie| lie.name() == name);
        Some(*lie.unwrap_or_else(|| panic!("there is no lie called {name}")))
    }
}

/// A lie as one node tells it.
#[derive(Debug, Default)]
pub struct Telling {
    lie: Option<Lie>,
    id: u64,
    told: u64,
    shift: u64,
    reads: Vec<ByteBuf>,
}

/// The seed that a node uses: its own, or with [`Lie::Unseeded`] another one at each start.
pub(crate) fn seed(lie: Option<Lie>, seed: u64) -> u64 {
    static STARTS: AtomicU64 = AtomicU64::new(1);
    match lie {
        Some(Lie::Unseeded) => STARTS.fetch_add(1, Ordering::Relaxed),
        _ => seed,
    }
}

fn each(all: &mut [ByteBuf], change: impl Fn(&mut Message)) {
    for bytes in all {
        // What the adapter encoded itself decodes.
        let mut message = Message::parse_from_bytes(bytes).expect("raft-rs's own message");
        change(&mut message);
        *bytes = ByteBuf::from(message.write_to_bytes().expect("proto3 messages always encode"));
    }
}

fn each_entry(all: &mut [ByteBuf], change: impl Fn(&mut Entry)) {
    for bytes in all {
        let mut entry = Entry::parse_from_bytes(bytes).expect("raft-rs's own entry");
        change(&mut entry);
        *bytes = ByteBuf::from(entry.write_to_bytes().expect("proto3 messages always encode"));
    }
}

impl Telling {
    pub(crate) fn new(lie: Option<Lie>, id: u64) -> Self {
        Telling { lie, id, ..Self::default() }
    }

    fn every(&mut self, n: u64) -> bool {
        self.told += 1;
        self.told.is_multiple_of(n)
    }

    pub(crate) fn on_start(&self, durable: &mut Durable) {
        match self.lie {
            Some(Lie::ForgetsVote) => {
                let mut hard = HardState::parse_from_bytes(&durable.hard_state).unwrap_or_default();
                hard.vote = 0;
                durable.hard_state = ByteBuf::from(hard.write_to_bytes().unwrap_or_default());
            }
            Some(Lie::ForgetsTerm) => durable.hard_state = ByteBuf::new(),
            Some(Lie::LosesTail) => {
                let hard = HardState::parse_from_bytes(&durable.hard_state).unwrap_or_default();
                let last = durable.truncated.0 + durable.entries.len() as u64;
                if last > hard.commit {
                    durable.entries.pop();
                }
            }
            _ => {}
        }
    }

    pub(crate) fn on_input(&mut self, input: &mut Input, status: &Status) {
        let (Some(lie), Input::Step(bytes)) = (self.lie, &mut *input) else {
            if let (Some(Lie::ReadsAlone), Input::ReadIndex(context)) = (self.lie, &input) {
                self.reads.push(context.clone());
            }
            return;
        };
        let Ok(mut message) = Message::parse_from_bytes(bytes) else { return };
        let older = message.term < status.term;
        let changed = match (lie, message.get_msg_type()) {
            (Lie::CountsOldVotes, MessageType::MsgRequestVoteResponse)
            | (Lie::CountsOldAnswers, MessageType::MsgAppendResponse) => {
                message.term = message.term.max(status.term);
                older
            }
            (Lie::CountsRefusals, MessageType::MsgAppendResponse) if message.reject => {
                message.reject = false;
                message.index = status.last_index;
                true
            }
            (Lie::IgnoresLogs, MessageType::MsgRequestVote) => {
                (message.index, message.log_term) = (u64::MAX, u64::MAX);
                true
            }
            _ => false,
        };
        if changed {
            *bytes = ByteBuf::from(message.write_to_bytes().unwrap_or_default());
        }
    }

    pub(crate) fn swallows(&self, input: &Input) -> bool {
        matches!(
            (self.lie, input),
            (Some(Lie::NeverTicks), Input::Tick) | (Some(Lie::ReadsAlone), Input::ReadIndex(_))
        )
    }

    pub(crate) fn persists_at_once(&self) -> bool {
        self.lie == Some(Lie::TrustsTheDisk)
    }

    pub(crate) fn on_effect(&mut self, effect: &mut Effect, status: &Status) {
        let Some(lie) = self.lie else { return };
        match effect {
            Effect::Ready(ready) => self.on_ready(lie, ready, status),
            Effect::Idle if lie == Lie::NeverQuiet => {
                self.shift += 1;
                let number = self.told + self.shift;
                *effect = Effect::Ready(Box::new(ReadyOut { number, ..ReadyOut::default() }));
            }
            Effect::Idle if lie == Lie::ReadsAlone && !self.reads.is_empty() => {
                self.shift += 1;
                let read_states =
                    self.reads.drain(..).map(|context| (status.committed, context)).collect();
                let number = self.told + self.shift;
                let ready = ReadyOut { number, read_states, ..ReadyOut::default() };
                *effect = Effect::Ready(Box::new(ready));
            }
            Effect::Status(status) => self.on_status(lie, status),
            _ => {}
        }
    }

    fn on_ready(&mut self, lie: Lie, ready: &mut ReadyOut, status: &Status) {
        match lie {
            Lie::KeepsHardState => ready.hard_state = None,
            Lie::SendsEarly => ready.messages.append(&mut ready.persisted_messages),
            Lie::StoresNothing if status.role == Role::Follower => ready.entries.clear(),
            Lie::VotesForAll => each(&mut ready.persisted_messages, |m| {
                if m.get_msg_type() == MessageType::MsgRequestVoteResponse {
                    m.reject = false;
                }
            }),
            Lie::AcknowledgesMore => each(&mut ready.persisted_messages, |m| {
                if m.get_msg_type() == MessageType::MsgAppendResponse && !m.reject && m.index > 0 {
                    m.index += 1;
                }
            }),
            Lie::OverwritesItself if status.role == Role::Leader && status.last_index > 3 => {
                each_entry(&mut ready.entries, |entry| entry.index -= 1);
            }
            Lie::ChangesData if self.id == 2 => {
                each_entry(&mut ready.entries, |entry| entry.data = vec![b'!'].into());
                each_entry(&mut ready.committed, |entry| entry.data = vec![b'!'].into());
            }
            Lie::AppliesTwice if ready.committed.len() > 1 => {
                let first = ready.committed[0].clone();
                ready.committed.insert(1, first);
            }
            Lie::AppliesOther if self.id == 2 => {
                each_entry(&mut ready.committed, |entry| entry.data = vec![b'!'].into());
            }
            Lie::SkipsNumbers => ready.number *= 2,
            Lie::NeverQuiet | Lie::ReadsAlone => {
                self.told = ready.number;
                ready.number += self.shift;
            }
            _ => {}
        }
    }

    fn on_status(&mut self, lie: Lie, status: &mut Status) {
        match lie {
            Lie::ClaimsToLead
                if self.id == 2 && status.role == Role::Follower && status.term > 0 =>
            {
                status.role = Role::Leader;
            }
            Lie::CommitFalls if self.every(10) => status.committed = 0,
            Lie::MatchFalls if self.every(10) => {
                status.progress.iter_mut().for_each(|(_, matched, _)| *matched = 0);
            }
            _ => {}
        }
    }
}
