//! Small things about `eraftpb` messages that several modules need.

use prost::Message as _;
use proto::eraftpb::{Entry, Message, MessageType};

/// Nobody: the id of no node.
pub const NOBODY: u64 = 0;

/// Terms and indexes beyond this are refused at the door, so that adding to one never overflows.
pub(crate) const LIMIT: u64 = u64::MAX >> 1;

/// A vote request that carries this comes from a node which the leader itself has told to campaign.
pub(crate) const CAMPAIGN_TRANSFER: &[u8] = b"CampaignTransfer";

/// A message to fill in; `Raft::send` adds the sender and the term.
pub(crate) fn message(kind: MessageType, to: u64) -> Message {
    Message { msg_type: kind.into(), to, ..Default::default() }
}

/// How many of the entries, from the first on, fit into `max_size` bytes; at least one if there is one.
pub(crate) fn fitting(entries: &[Entry], max_size: u64) -> usize {
    if entries.len() <= 1 {
        return entries.len();
    }
    let mut size = 0;
    let over = entries.iter().position(|entry| {
        size += entry.encoded_len() as u64;
        size > max_size
    });
    over.map_or(entries.len(), |at| at.max(1))
}

/// Bytes that a message with these entries brings to the network, roughly.
pub(crate) fn size_of(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| (entry.data.len() + entry.context.len()) as u64).sum()
}
