//! Messages: what they are built with, and how they travel.
//!
//! A [`Mail`] keeps the bytes that a node sent, and delivers exactly those: another make of Raft may use
//! fields that we do not know.

use prost::Message as _;
use proto::eraftpb::{
    ConfState, Entry, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
};
use serde_bytes::ByteBuf;
use sim::failure::{Failure, Outcome};

use crate::notation;

/// A message on its way: decoded once, delivered as it was sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What it says.
    pub msg: Message,
    /// The bytes that say it.
    pub bytes: ByteBuf,
    /// Its number in the trace; 0: it has none.
    pub number: u64,
}

impl Mail {
    /// What a node sent.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn decode(bytes: ByteBuf) -> Outcome<Self> {
        Ok(Mail { msg: decode(&bytes)?, bytes, number: 0 })
    }

    /// Its kind.
    pub fn kind(&self) -> MessageType {
        self.msg.msg_type()
    }

    /// In the compact notation.
    pub fn show(&self) -> String {
        notation::message(&self.msg)
    }
}

impl From<Message> for Mail {
    fn from(msg: Message) -> Self {
        Mail { bytes: msg.encode_to_vec().into(), msg, number: 0 }
    }
}

/// Decodes what a subject said.
///
/// # Errors
/// When it is nonsense.
pub fn decode<M: prost::Message + Default>(bytes: &[u8]) -> Outcome<M> {
    M::decode(bytes).map_err(|e| Failure::Ended {
        how: format!("the subject handed out bytes that are no eraftpb message ({e})"),
    })
}

/// Mails on one line, for failure texts.
pub fn show_all(mails: &[Mail]) -> String {
    match mails.len() {
        0 => "no message".into(),
        n if n > 8 => format!("{n} messages, the last of them {}", mails[n - 1].show()),
        _ => mails.iter().map(Mail::show).collect::<Vec<_>>().join("; "),
    }
}

/// Of these mails, those of one kind.
pub fn of_kind(mails: &[Mail], kind: MessageType) -> Vec<&Message> {
    mails.iter().filter(|mail| mail.kind() == kind).map(|mail| &mail.msg).collect()
}

/// An entry.
pub fn entry(index: u64, term: u64, data: &[u8]) -> Entry {
    Entry { index, term, data: data.to_vec().into(), ..Default::default() }
}

/// Entries from `first` on, with these terms and data that tells them apart.
pub fn entries(first: u64, terms: &[u64]) -> Vec<Entry> {
    (first..)
        .zip(terms)
        .map(|(index, &term)| entry(index, term, format!("{index}@{term}").as_bytes()))
        .collect()
}

/// A group of voters.
pub fn voters(ids: &[u64]) -> ConfState {
    ConfState { voters: ids.to_vec(), ..Default::default() }
}

/// A hard state.
pub fn hard(term: u64, vote: u64, commit: u64) -> HardState {
    HardState { term, vote, commit }
}

/// A snapshot up to `index@term` of a group of `ids`.
pub fn snapshot(index: u64, term: u64, ids: &[u64], data: &[u8]) -> Snapshot {
    let metadata = SnapshotMetadata { conf_state: Some(voters(ids)), index, term };
    Snapshot { data: data.to_vec().into(), metadata: Some(metadata) }
}

/// A message of this kind, from a node in this term.
pub fn message(kind: MessageType, from: u64, to: u64, term: u64) -> Message {
    Message { msg_type: kind.into(), from, to, term, ..Default::default() }
}

/// An append after `base`, an (index, term).
pub fn append(from: u64, to: u64, term: u64, base: (u64, u64), entries: Vec<Entry>) -> Message {
    let (index, log_term) = base;
    Message { index, log_term, entries, ..message(MessageType::MsgAppend, from, to, term) }
}

/// A heartbeat that lets the receiver commit up to `commit`.
pub fn heartbeat(from: u64, to: u64, term: u64, commit: u64) -> Message {
    Message { commit, ..message(MessageType::MsgHeartbeat, from, to, term) }
}

/// A vote request of a candidate whose log ends with `last`, an (index, term).
pub fn request_vote(from: u64, to: u64, term: u64, last: (u64, u64)) -> Message {
    let (index, log_term) = last;
    Message { index, log_term, ..message(MessageType::MsgRequestVote, from, to, term) }
}

/// A vote: granted or refused.
pub fn vote(from: u64, to: u64, term: u64, granted: bool) -> Message {
    Message { reject: !granted, ..message(MessageType::MsgRequestVoteResponse, from, to, term) }
}

/// "Our logs agree up to `index`."
pub fn accepted(from: u64, to: u64, term: u64, index: u64) -> Message {
    Message { index, ..message(MessageType::MsgAppendResponse, from, to, term) }
}

/// "I have nothing like that at `base`; try `hint`, an (index, term)."
pub fn refused(from: u64, to: u64, term: u64, base: u64, hint: (u64, u64)) -> Message {
    let (reject_hint, log_term) = hint;
    let kind = MessageType::MsgAppendResponse;
    Message { index: base, reject: true, reject_hint, log_term, ..message(kind, from, to, term) }
}

/// A snapshot on its way.
pub fn install(from: u64, to: u64, term: u64, snapshot: Snapshot) -> Message {
    Message { snapshot: Some(snapshot), ..message(MessageType::MsgSnapshot, from, to, term) }
}
