//! Messages, entries and refusals, as the small tests write and read them.

use prost::Message as _;
use proto::eraftpb::{self, MessageType};
use proto::errorpb;
use proto::metapb::{Peer, RegionEpoch};
use proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, CmdType, CompactLogRequest, DeleteRequest, PutRequest,
    RaftCmdRequest, RaftRequestHeader, Request,
};
use proto::raft_serverpb::RaftMessage;
use serde_bytes::ByteBuf;

use super::protocol::{Entry, Header, Input, Refused};

/// The epoch of a first region.
const EPOCH: RegionEpoch = RegionEpoch { conf_ver: 1, version: 1 };

/// An entry with some data.
pub fn entry(index: u64, term: u64) -> Entry {
    Entry { index, term, data: format!("entry {index} of term {term}").into_bytes() }
}

/// Entries of one term.
pub fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    indexes.map(|index| entry(index, term)).collect()
}

/// The mark of a new leader.
pub fn mark(index: u64, term: u64) -> Entry {
    Entry { index, term, data: Vec::new() }
}

fn command(index: u64, term: u64, request: &RaftCmdRequest) -> Entry {
    Entry { index, term, data: request.encode_to_vec() }
}

fn request(requests: Vec<Request>, admin: Option<AdminRequest>) -> RaftCmdRequest {
    let header =
        RaftRequestHeader { region_id: 1, region_epoch: Some(EPOCH), ..Default::default() };
    RaftCmdRequest { header: Some(header), requests, admin_request: admin }
}

fn put_of(cf: &str, key: &str, value: &str) -> Request {
    let put = PutRequest {
        cf: cf.to_owned(),
        key: format!("r{key}").into_bytes().into(),
        value: value.as_bytes().to_vec().into(),
    };
    Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() }
}

/// An entry that sets a user's raw keys.
pub fn put(index: u64, term: u64, pairs: &[(&str, &str)]) -> Entry {
    put_in(index, term, &pairs.iter().map(|(key, value)| ("", *key, *value)).collect::<Vec<_>>())
}

/// An entry that sets keys of these column families.
pub fn put_in(index: u64, term: u64, pairs: &[(&str, &str, &str)]) -> Entry {
    let puts = pairs.iter().map(|(cf, key, value)| put_of(cf, key, value)).collect();
    command(index, term, &request(puts, None))
}

/// An entry that removes a key.
pub fn delete(index: u64, term: u64, key: &str) -> Entry {
    let delete = DeleteRequest { cf: String::new(), key: format!("r{key}").into_bytes().into() };
    let delete =
        Request { cmd_type: CmdType::Delete.into(), delete: Some(delete), ..Default::default() };
    command(index, term, &request(vec![delete], None))
}

/// An entry that cuts the log.
pub fn cut(index: u64, term: u64, at: (u64, u64)) -> Entry {
    let admin = AdminRequest {
        cmd_type: AdminCmdType::CompactLog.into(),
        compact_log: Some(CompactLogRequest { compact_index: at.0, compact_term: at.1 }),
        ..Default::default()
    };
    command(index, term, &request(Vec::new(), Some(admin)))
}

/// What a client with a fresh map says.
pub fn header() -> Header {
    Header { region: 1, peer: Some((1, 1)), epoch: Some((1, 1)), term: 0 }
}

/// Client `number` sets a key.
pub fn propose(number: u32, header: Header, key: &str, value: &str) -> Input {
    let puts = vec![(key.as_bytes().to_vec(), value.as_bytes().to_vec().into())];
    Input::Propose { number, header, puts, deadline: u64::MAX }
}

/// Client `number` wants to read.
pub fn read(number: u32, header: Header) -> Input {
    Input::Read { number, header, deadline: u64::MAX }
}

fn peer(id: u64) -> Peer {
    Peer { id, store_id: id, ..Default::default() }
}

/// A message to peer 1, in its envelope.
pub fn step(message: eraftpb::Message) -> Input {
    let (from_peer, to_peer) = (Some(peer(message.from)), Some(peer(message.to)));
    let envelope = RaftMessage {
        region_id: 1,
        from_peer,
        to_peer,
        message: Some(message),
        region_epoch: Some(EPOCH),
        ..Default::default()
    };
    Input::Step(envelope.encode_to_vec().into())
}

fn message(kind: MessageType, from: u64, term: u64) -> eraftpb::Message {
    eraftpb::Message { msg_type: kind.into(), from, to: 1, term, ..Default::default() }
}

/// `from` asks peer 1 for its vote; its log ends with `last`.
pub fn vote_request(from: u64, term: u64, last: (u64, u64)) -> Input {
    let kind = MessageType::MsgRequestVote;
    step(eraftpb::Message { index: last.0, log_term: last.1, ..message(kind, from, term) })
}

/// `from` gives peer 1 its vote.
pub fn vote(from: u64, term: u64) -> Input {
    step(message(MessageType::MsgRequestVoteResponse, from, term))
}

/// `from` leads, and appends behind `base`.
pub fn append(from: u64, term: u64, base: (u64, u64), new: Vec<Entry>, commit: u64) -> Input {
    let entry = |e: Entry| eraftpb::Entry {
        index: e.index,
        term: e.term,
        data: e.data.into(),
        ..Default::default()
    };
    step(eraftpb::Message {
        index: base.0,
        log_term: base.1,
        entries: new.into_iter().map(entry).collect(),
        commit,
        ..message(MessageType::MsgAppend, from, term)
    })
}

/// `from` has everything up to this index.
pub fn accept(from: u64, term: u64, index: u64) -> Input {
    step(eraftpb::Message { index, ..message(MessageType::MsgAppendResponse, from, term) })
}

/// `from` leads, and says so.
pub fn heartbeat(from: u64, term: u64, commit: u64) -> Input {
    step(eraftpb::Message { commit, ..message(MessageType::MsgHeartbeat, from, term) })
}

/// `from` has heard peer 1's heartbeat with this context.
pub fn heard(from: u64, term: u64, context: &[u8]) -> Input {
    let context = context.to_vec().into();
    let kind = MessageType::MsgHeartbeatResponse;
    step(eraftpb::Message { context, ..message(kind, from, term) })
}

/// Messages that were sent, without what cannot be decoded.
pub fn opened(sent: &[ByteBuf]) -> Vec<RaftMessage> {
    sent.iter().filter_map(|bytes| RaftMessage::decode(&bytes[..]).ok()).collect()
}

/// Those of one kind.
pub fn of_kind(sent: &[ByteBuf], kind: MessageType) -> Vec<eraftpb::Message> {
    let all = opened(sent).into_iter().filter_map(|envelope| envelope.message);
    all.filter(|message| message.msg_type() == kind).collect()
}

/// What was sent, for people.
pub fn show(sent: &[ByteBuf]) -> String {
    let one = |message: &RaftMessage| {
        let Some(message) = &message.message else { return "an empty envelope".into() };
        let kind = message.msg_type().as_str_name();
        format!("{kind} to n{} term={} index={}", message.to, message.term, message.index)
    };
    let all: Vec<String> = opened(sent).iter().map(one).collect();
    if all.is_empty() { "nothing was sent".into() } else { format!("sent: {}", all.join(", ")) }
}

/// The region error in a refusal; an empty one if there is none.
pub fn region_error(refused: &Refused) -> errorpb::Error {
    let bytes = refused.region_error.as_ref().map_or(&[][..], |bytes| &bytes[..]);
    errorpb::Error::decode(bytes).unwrap_or_default()
}

/// What kind of refusal this is, in the contract's words.
pub fn kind(refused: &Refused) -> &'static str {
    let error = region_error(refused);
    match &error {
        _ if refused.later => "Later",
        error if error.region_not_found.is_some() => "RegionNotFound",
        error if error.mismatch_peer_id.is_some() => "MismatchPeerId",
        error if error.not_leader.is_some() => "NotLeader",
        error if error.stale_command.is_some() => "StaleCommand",
        error if error.epoch_not_match.is_some() => "EpochNotMatch",
        error if error.key_not_in_region.is_some() => "KeyNotInRegion",
        _ if refused.region_error.is_some() => "another region error",
        _ if refused.definite => "Invalid",
        _ => "Unknown",
    }
}
