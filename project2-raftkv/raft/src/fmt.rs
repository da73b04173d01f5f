//! One compact notation for messages, entries and states: logs, failure reports, traces, the viewer and the
//! book all use it.
//!
//! ```text
//! n1@3 -> n2 Append base=4@1 [5..7@3] commit=4     node 1, in term 3: entries 5 to 7 of term 3 go behind entry 4
//! n2@3 -> n1 AppendResp ok=7                       of term 1
//! n2@3 -> n1 AppendResp no=4 hint=2@1              refused at 4, at best we agree at 2
//! n2@4 -> n3 Vote last=7@3                         a vote, please: my log ends with entry 7 of term 3
//! n3@4 -> n2 VoteResp yes
//! n1@3 -> n2 Heartbeat commit=4 round=17
//! n1@3 -> n2 Snapshot 40@2 {1 2 3}
//! t4 v2 c7                                         a hard state: term, vote, commit
//! ```
//!
//! An entry is `index@term`; `5@3!` is a configuration change, `5@3()` has no data.

use std::fmt::{self, Display, Formatter};

use proto::eraftpb::{Entry, EntryType, HardState, Message, MessageType, Snapshot};

use crate::log::place_of;

/// Shows what it holds in the compact notation: `println!("{}", Compact(&message))`.
#[derive(Debug, Clone, Copy)]
pub struct Compact<'a, T: ?Sized>(pub &'a T);

impl Display for Compact<'_, Entry> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}{}", self.0.index, self.0.term, mark(self.0))
    }
}

/// What is special about an entry.
fn mark(entry: &Entry) -> &'static str {
    match entry.entry_type() {
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => "!",
        EntryType::EntryNormal if entry.data.is_empty() => "()",
        EntryType::EntryNormal => "",
    }
}

impl Display for Compact<'_, [Entry]> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        let alike = |a: &Entry, b: &Entry| (a.term, mark(a)) == (b.term, mark(b));
        for (at, run) in self.0.chunk_by(alike).enumerate() {
            let space = if at > 0 { " " } else { "" };
            match run {
                [first, .., last] => write!(f, "{space}{}..{}", first.index, Compact(last))?,
                [only] => write!(f, "{space}{}", Compact(only))?,
                [] => {}
            }
        }
        write!(f, "]")
    }
}

impl Display for Compact<'_, HardState> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "t{} v{} c{}", self.0.term, self.0.vote, self.0.commit)
    }
}

impl Display for Compact<'_, Snapshot> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (index, term) = place_of(self.0);
        write!(f, "{index}@{term} {{")?;
        let conf = self.0.metadata.as_ref().and_then(|meta| meta.conf_state.as_ref());
        let members = conf.iter().flat_map(|conf| conf.voters.iter().chain(&conf.learners));
        for (at, id) in members.enumerate() {
            write!(f, "{}{id}", if at > 0 { " " } else { "" })?;
        }
        write!(f, "}}")
    }
}

impl Display for Compact<'_, Message> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use MessageType as T;
        let m = self.0;
        write!(f, "n{}", m.from)?;
        if m.term > 0 {
            write!(f, "@{}", m.term)?;
        }
        write!(f, " -> n{} ", m.to)?;
        let Ok(kind) = T::try_from(m.msg_type) else { return write!(f, "?{}", m.msg_type) };
        let yes = if m.reject { "no" } else { "yes" };
        match kind {
            T::MsgAppend => {
                write!(f, "Append base={}@{} ", m.index, m.log_term)?;
                write!(f, "{} commit={}", Compact(&m.entries[..]), m.commit)
            }
            T::MsgAppendResponse if m.reject => {
                write!(f, "AppendResp no={} hint={}@{}", m.index, m.reject_hint, m.log_term)
            }
            T::MsgAppendResponse => write!(f, "AppendResp ok={}", m.index),
            T::MsgRequestVote => {
                let transfer = if m.context.is_empty() { "" } else { " transfer" };
                write!(f, "Vote last={}@{}{transfer}", m.index, m.log_term)
            }
            T::MsgRequestVoteResponse => write!(f, "VoteResp {yes}"),
            T::MsgRequestPreVote => write!(f, "PreVote last={}@{}", m.index, m.log_term),
            T::MsgRequestPreVoteResponse => write!(f, "PreVoteResp {yes}"),
            T::MsgSnapshot => match &m.snapshot {
                Some(snapshot) => write!(f, "Snapshot {}", Compact(snapshot)),
                None => write!(f, "Snapshot of nothing"),
            },
            T::MsgHeartbeat => write!(f, "Heartbeat commit={}{}", m.commit, Round(&m.context)),
            T::MsgHeartbeatResponse => write!(f, "HeartbeatResp{}", Round(&m.context)),
            T::MsgPropose => write!(f, "Propose of {}", m.entries.len()),
            T::MsgReadIndex => write!(f, "ReadIndex"),
            T::MsgReadIndexResp => write!(f, "ReadIndexResp index={}", m.index),
            T::MsgTimeoutNow => write!(f, "TimeoutNow"),
            T::MsgTransferLeader => write!(f, "TransferLeader"),
            T::MsgHup => write!(f, "Hup"),
            T::MsgBeat => write!(f, "Beat"),
            T::MsgUnreachable => write!(f, "Unreachable"),
            T::MsgSnapStatus => write!(f, "SnapStatus {yes}"),
            T::MsgCheckQuorum => write!(f, "CheckQuorum"),
        }
    }
}

/// A heartbeat's context, as our leaders use it; those of other makes put other things there.
struct Round<'a>(&'a [u8]);

impl Display for Round<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.try_into().map(u64::from_be_bytes) {
            Ok(round) => write!(f, " round={round}"),
            Err(_) if self.0.is_empty() => Ok(()),
            Err(_) => write!(f, " context={} bytes", self.0.len()),
        }
    }
}
