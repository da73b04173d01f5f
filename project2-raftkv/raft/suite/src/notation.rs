//! The compact notation: one line a message, the same in failures, traces and the book.
//!
//! `n1@3 -> n2 Append base=4@1 [5@3 6..9@3] commit=4` reads: node 1, in its term 3, sends node 2 an
//! append; before the new entries stands index 4 of term 1; the new ones are 5 to 9, all of term 3.
//! An entry is `index@term` everywhere.

use std::fmt::Write;

use proto::eraftpb::{Entry, HardState, Message, MessageType};

use crate::protocol::{Role, Status};

/// `n1`, or `nobody` for 0.
pub fn node(id: u64) -> String {
    if id == 0 { "nobody".into() } else { format!("n{id}") }
}

/// `5@3`.
pub fn at(index: u64, term: u64) -> String {
    format!("{index}@{term}")
}

/// `[5@3 6..9@4]`: entries, with runs of one term drawn together.
pub fn entries(entries: &[Entry]) -> String {
    terms(entries.iter().map(|entry| (entry.index, entry.term)))
}

/// `[1..3@1 4@2]`: a log that starts at index 1 and has these terms.
pub fn log(terms_from_1: &[u64]) -> String {
    terms((1..).zip(terms_from_1.iter().copied()))
}

fn terms(places: impl IntoIterator<Item = (u64, u64)>) -> String {
    let mut runs: Vec<(u64, u64, u64)> = Vec::new();
    for (index, term) in places {
        match runs.last_mut() {
            Some((_, last, same)) if *same == term && *last + 1 == index => *last = index,
            _ => runs.push((index, index, term)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(
            |(first, last, term)| {
                if first == last { at(first, term) } else { format!("{first}..{last}@{term}") }
            },
        )
        .collect();
    format!("[{}]", runs.join(" "))
}

/// The kind of a message, in the words that `raftcore::fmt` uses, too.
pub fn kind(kind: MessageType) -> &'static str {
    match kind {
        MessageType::MsgAppend => "Append",
        MessageType::MsgAppendResponse => "AppendResp",
        MessageType::MsgRequestVote => "Vote",
        MessageType::MsgRequestVoteResponse => "VoteResp",
        MessageType::MsgRequestPreVote => "PreVote",
        MessageType::MsgRequestPreVoteResponse => "PreVoteResp",
        MessageType::MsgHeartbeat => "Heartbeat",
        MessageType::MsgHeartbeatResponse => "HeartbeatResp",
        MessageType::MsgSnapshot => "Snapshot",
        MessageType::MsgPropose => "Propose",
        MessageType::MsgReadIndex => "ReadIndex",
        MessageType::MsgReadIndexResp => "ReadIndexResp",
        MessageType::MsgTransferLeader => "TransferLeader",
        MessageType::MsgTimeoutNow => "TimeoutNow",
        MessageType::MsgHup => "Hup",
        MessageType::MsgBeat => "Beat",
        MessageType::MsgUnreachable => "Unreachable",
        MessageType::MsgSnapStatus => "SnapStatus",
        MessageType::MsgCheckQuorum => "CheckQuorum",
    }
}

/// One message on one line.
pub fn message(m: &Message) -> String {
    let mut text = format!("n{}@{} -> n{} {}", m.from, m.term, m.to, kind(m.msg_type()));
    // Writing to a String cannot fail.
    let _ = match m.msg_type() {
        MessageType::MsgAppend => {
            let base = at(m.index, m.log_term);
            write!(text, " base={base} {} commit={}", entries(&m.entries), m.commit)
        }
        MessageType::MsgAppendResponse if m.reject => {
            write!(text, " no={} hint={}", m.index, at(m.reject_hint, m.log_term))
        }
        MessageType::MsgAppendResponse => write!(text, " ok={}", m.index),
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => {
            write!(text, " last={}", at(m.index, m.log_term))
        }
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => {
            text.write_str(if m.reject { " no" } else { " yes" })
        }
        MessageType::MsgHeartbeat => write!(text, " commit={}", m.commit),
        MessageType::MsgSnapshot => {
            let place = m.snapshot.as_ref().and_then(|s| s.metadata.as_ref());
            write!(text, " upto={}", place.map_or_else(String::new, |p| at(p.index, p.term)))
        }
        MessageType::MsgReadIndexResp => write!(text, " index={}", m.index),
        _ => Ok(()),
    };
    text
}

/// `term 3, vote n1, commit 4`.
pub fn hard_state(hard: &HardState) -> String {
    format!("term {}, vote {}, commit {}", hard.term, node(hard.vote), hard.commit)
}

/// `n1@3 leader, last=7@3, commit=5, leader n1`.
pub fn status(id: u64, s: &Status) -> String {
    format!(
        "n{id}@{} {}, last={}, commit={}, leader {}",
        s.term,
        role(s.role),
        at(s.last_index, s.last_term),
        s.committed,
        node(s.leader)
    )
}

/// A role in a sentence.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
