//! Peers that are led by strings: they answer as the paper says, and one of them does nothing by itself.
//!
//! A test of one real node needs followers that accept, and voters that grant. What exactly a leader
//! sends, and when, differs from Raft to Raft; so a test does not send "the answer to the append" but
//! lets the puppets answer whatever came.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::{Entry, Message, MessageType};
use sim::failure::{Failure, Outcome};

use crate::mail::{self, Mail};
use crate::world::{Node, Setup};

/// The peers of one real node.
#[derive(Debug, Default)]
pub struct Puppets {
    logs: BTreeMap<u64, Log>,
    mute: BTreeSet<u64>,
}

#[derive(Debug, Default, Clone)]
struct Log {
    /// Index and term before the first entry.
    base: (u64, u64),
    entries: Vec<Entry>,
    commit: u64,
}

impl Log {
    fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let at = usize::try_from(index.checked_sub(self.base.0 + 1)?).ok()?;
        self.entries.get(at).map(|entry| entry.term)
    }

    fn last(&self) -> u64 {
        self.base.0 + self.entries.len() as u64
    }
}

impl Puppets {
    /// Peers with empty logs.
    pub fn new(ids: &[u64]) -> Self {
        Puppets {
            logs: ids.iter().map(|&id| (id, Log::default())).collect(),
            mute: BTreeSet::new(),
        }
    }

    /// Peers whose logs are copies of what `setup` puts on the real node's disk.
    pub fn like(setup: &Setup, ids: &[u64]) -> Self {
        let image = &setup.image;
        let log = Log { base: image.truncated, entries: image.entries.clone(), commit: 0 };
        Puppets { logs: ids.iter().map(|&id| (id, log.clone())).collect(), mute: BTreeSet::new() }
    }

    /// One more peer, with an empty log.
    pub fn add(&mut self, id: u64) {
        self.logs.insert(id, Log::default());
    }

    /// This peer has only the first `count` entries of its log.
    pub fn shorten(&mut self, id: u64, count: usize) {
        if let Some(log) = self.logs.get_mut(&id) {
            log.entries.truncate(count);
        }
    }

    /// From now on only these peers answer.
    pub fn only(&mut self, ids: &[u64]) {
        self.mute = self.logs.keys().copied().filter(|id| !ids.contains(id)).collect();
    }

    /// The last index of a peer's log.
    pub fn last(&self, id: u64) -> u64 {
        self.logs.get(&id).map_or(0, Log::last)
    }

    /// The commit index that a peer has been told.
    pub fn commit(&self, id: u64) -> u64 {
        self.logs.get(&id).map_or(0, |log| log.commit)
    }

    /// What the peer says to this message, if anything.
    pub fn answer(&mut self, m: &Message) -> Option<Message> {
        if self.mute.contains(&m.to) {
            return None;
        }
        let log = self.logs.get_mut(&m.to)?;
        let (me, leader) = (m.to, m.from);
        match m.msg_type() {
            MessageType::MsgRequestVote => Some(mail::vote(me, leader, m.term, true)),
            MessageType::MsgRequestPreVote => {
                Some(mail::message(MessageType::MsgRequestPreVoteResponse, me, leader, m.term))
            }
            MessageType::MsgHeartbeat => {
                log.commit = log.commit.max(m.commit.min(log.last()));
                let kind = MessageType::MsgHeartbeatResponse;
                let answer = mail::message(kind, me, leader, m.term);
                Some(Message { context: m.context.clone(), commit: log.commit, ..answer })
            }
            MessageType::MsgAppend => {
                if log.term(m.index) != Some(m.log_term) {
                    let hint = m.index.min(log.last());
                    let hint = (hint, log.term(hint).unwrap_or(0));
                    return Some(mail::refused(me, leader, m.term, m.index, hint));
                }
                for entry in &m.entries {
                    if log.term(entry.index) != Some(entry.term) {
                        let keep = entry.index.saturating_sub(log.base.0 + 1);
                        log.entries.truncate(usize::try_from(keep).unwrap_or(0));
                        log.entries.push(entry.clone());
                    }
                }
                let matched = m.index + m.entries.len() as u64;
                log.commit = log.commit.max(m.commit.min(matched));
                Some(mail::accepted(me, leader, m.term, matched))
            }
            MessageType::MsgSnapshot => {
                let place = m.snapshot.as_ref()?.metadata.as_ref()?;
                *log = Log {
                    base: (place.index, place.term),
                    entries: Vec::new(),
                    commit: place.index,
                };
                Some(mail::accepted(me, leader, m.term, place.index))
            }
            _ => None,
        }
    }

    /// Lets the peers answer these mails, and the node's mails upon that, until nobody says anything.
    /// Returns everything that the node sent, the given mails included.
    ///
    /// # Errors
    /// When the node fails, or the talk does not end.
    pub fn talk(&mut self, node: &mut Node<'_>, first: Vec<Mail>) -> Outcome<Vec<Mail>> {
        let mut all = Vec::new();
        let mut waiting = first;
        for _ in 0..200 {
            if waiting.is_empty() {
                return Ok(all);
            }
            let answers: Vec<Message> =
                waiting.iter().filter_map(|mail| self.answer(&mail.msg)).collect();
            all.append(&mut waiting);
            for answer in answers {
                waiting.extend(node.tell(answer)?);
            }
        }
        Err(Failure::broke(
            "a leader and its followers never come to rest",
            "each of 200 rounds of answers brought new messages, without a tick or a proposal",
            format!("the last of them: {}", mail::show_all(&waiting)),
        ))
    }

    /// Makes the node leader by an election, and lets the peers store what it sends then. Returns what
    /// it sent.
    ///
    /// # Errors
    /// As [`Puppets::talk`], and when it does not lead in the end.
    pub fn elect(&mut self, node: &mut Node<'_>) -> Outcome<Vec<Mail>> {
        let first = node.campaign()?;
        let sent = self.talk(node, first)?;
        let status = node.status()?;
        if status.leader != node.id || !node.leads()? {
            return Err(Failure::broke(
                "a candidate with the votes of all does not lead",
                format!("n{} campaigned, and each peer that was asked granted its vote", node.id),
                format!("now: {}", crate::notation::status(node.id, &status)),
            ));
        }
        Ok(sent)
    }

    /// Lets `count` heartbeat intervals go by; the peers answer. Returns what the node sent.
    ///
    /// # Errors
    /// As [`Puppets::talk`].
    pub fn beats(&mut self, node: &mut Node<'_>, count: u64) -> Outcome<Vec<Mail>> {
        let mut all = Vec::new();
        for _ in 0..count {
            let sent = node.ticks(node.config().heartbeat_tick)?;
            all.extend(self.talk(node, sent)?);
        }
        Ok(all)
    }
}
