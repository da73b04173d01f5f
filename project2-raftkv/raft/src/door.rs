//! The door: what no correct node sends is refused here, before it can touch anything.
//!
//! A message is bytes from a network. Its sender may be a stranger, an older version, a node whose disk lost
//! half a log, or a broken switch. Raft's safety argument assumes none of these, so each assumption that can be
//! checked is checked once, and the chapters behind may rely on it:
//!
//! - the kind is known, and is one that crosses networks;
//! - it is meant for this node, and comes from another one;
//! - terms and indexes leave room to count on from them;
//! - entries follow each other, and their terms rise to the sender's at most;
//! - answers come from members.
//!
//! What cannot be checked is a lie that looks right: "I have entry 7 durably" is believed. Raft is for nodes
//! that fail, not for nodes that cheat.

use proto::eraftpb::{Entry, EntryType, Message, MessageType};

use crate::error::{Error, Result};
use crate::raft::Raft;
use crate::storage::Storage;
use crate::wire::{LIMIT, NOBODY};

impl<S: Storage> Raft<S> {
    /// Which kind of message this is, if it may come in.
    pub(crate) fn check_message(&self, m: &Message) -> Result<MessageType> {
        use MessageType as T;
        let kind = T::try_from(m.msg_type).map_err(|_| Error::Malformed("an unknown kind"))?;
        if m.from == NOBODY || m.from == self.id {
            return Err(Error::Malformed("it comes from nobody, or from the receiver itself"));
        }
        if m.to != NOBODY && m.to != self.id {
            return Err(Error::Malformed("it is meant for another node"));
        }
        if [m.term, m.index, m.log_term, m.commit, m.reject_hint].iter().any(|&n| n > LIMIT) {
            return Err(Error::Malformed("a number that leaves no room to count"));
        }
        match kind {
            T::MsgHup | T::MsgBeat | T::MsgUnreachable | T::MsgSnapStatus | T::MsgCheckQuorum => {
                return Err(Error::LocalMessage(kind));
            }
            T::MsgPropose | T::MsgReadIndex => {}
            _ if m.term == 0 => return Err(Error::Malformed("it carries no term")),
            T::MsgAppend => check_entries(m)?,
            T::MsgRequestVote | T::MsgRequestPreVote if m.log_term > m.term => {
                return Err(Error::Malformed("a candidate with an entry from the future"));
            }
            T::MsgAppendResponse
            | T::MsgRequestVoteResponse
            | T::MsgHeartbeatResponse
            | T::MsgRequestPreVoteResponse
                if !self.progress.contains_key(&m.from) =>
            {
                return Err(Error::UnknownPeer(m.from));
            }
            _ => {}
        }
        match kind {
            T::MsgPropose => check_proposals(&m.entries)?,
            T::MsgReadIndex | T::MsgReadIndexResp if m.entries.len() != 1 => {
                return Err(Error::Malformed("a read names itself in exactly one entry"));
            }
            T::MsgSnapshot => check_snapshot(m)?,
            _ => {}
        }
        Ok(kind)
    }
}

fn check_entries(m: &Message) -> Result<()> {
    let (mut index, mut term) = (m.index, m.log_term);
    for entry in &m.entries {
        if entry.index != index + 1 || entry.index > LIMIT {
            return Err(Error::Malformed("entries that do not follow each other"));
        }
        if entry.term < term {
            return Err(Error::Malformed("entries whose terms fall"));
        }
        (index, term) = (entry.index, entry.term);
    }
    if term > m.term {
        return Err(Error::Malformed("entries from after the sender's term"));
    }
    Ok(())
}

fn check_proposals(entries: &[Entry]) -> Result<()> {
    if entries.is_empty() {
        return Err(Error::Malformed("a proposal of nothing"));
    }
    if entries.iter().any(|entry| EntryType::try_from(entry.entry_type).is_err()) {
        return Err(Error::Malformed("a proposal of an unknown type"));
    }
    Ok(())
}

fn check_snapshot(m: &Message) -> Result<()> {
    let meta = m.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
    let Some(meta) = meta else {
        return Err(Error::Malformed("a snapshot that does not say of what"));
    };
    if meta.index == 0 || meta.index > LIMIT || meta.term > m.term {
        return Err(Error::Malformed("a snapshot from nowhere, or from after the sender's term"));
    }
    let members = meta.conf_state.as_ref().map_or(&[][..], |conf| &conf.voters);
    if members.is_empty() {
        return Err(Error::Malformed("a snapshot of a group without voters"));
    }
    Ok(())
}
