//! What the world's clients say to a store, and what stores say to each other.

use prost::Message as _;
use proto::eraftpb::{Entry, Message, MessageType};
use proto::errorpb;
use proto::kvrpcpb::{
    Context, RawCasRequest, RawCasResponse, RawDeleteRequest, RawDeleteResponse, RawGetRequest,
    RawGetResponse, RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
};
use proto::metapb::{Peer, RegionEpoch};
use proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use sim::cluster::dialect::{Ack, Answer, Dialect, MessageInfo, Vote};
use sim::cluster::protocol::{Channel, NodeId};
use sim::history::{Op, OpResult};

/// The raw API on region 1.
pub struct RawDialect;

/// As a scenario wants it.
pub fn dialect() -> Box<dyn Dialect> {
    Box::new(RawDialect)
}

/// The context of a request to the peer on this store: what a client with a fresh map says.
pub fn context(to: NodeId) -> Context {
    Context {
        region_id: 1,
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peer: Some(Peer { id: to, store_id: to, ..Default::default() }),
        ..Default::default()
    }
}

impl Dialect for RawDialect {
    fn request(&mut self, _: u64, op: &Op, to: NodeId) -> (String, Vec<u8>) {
        let context = Some(context(to));
        // Linearizable with compare-and-swap: what a client has to ask for.
        let for_cas = true;
        match op.clone() {
            Op::Get(key) => {
                let request = RawGetRequest { context, key: key.into(), ..Default::default() };
                ("RawGet".into(), request.encode_to_vec())
            }
            Op::Put(key, value) | Op::Append(key, value) => {
                let (key, value) = (key.into(), value.into());
                let request = RawPutRequest { context, key, value, for_cas, ..Default::default() };
                ("RawPut".into(), request.encode_to_vec())
            }
            Op::Delete(key) => {
                let key = key.into();
                let request = RawDeleteRequest { context, key, for_cas, ..Default::default() };
                ("RawDelete".into(), request.encode_to_vec())
            }
            Op::Cas { key, expected, new } => {
                let request = RawCasRequest {
                    context,
                    key: key.into(),
                    value: new.into(),
                    previous_not_exist: expected.is_none(),
                    previous_value: expected.unwrap_or_default().into(),
                    ..Default::default()
                };
                ("RawCompareAndSwap".into(), request.encode_to_vec())
            }
            Op::Scan { start, end, limit } => {
                let request = RawScanRequest {
                    context,
                    start_key: start.into(),
                    end_key: end.into(),
                    limit,
                    ..Default::default()
                };
                ("RawScan".into(), request.encode_to_vec())
            }
            // The raw API has none.
            Op::Txn(_) => ("Txn".into(), Vec::new()),
        }
    }

    fn answer(&mut self, _: u64, op: &Op, _: NodeId, response: &[u8]) -> Answer {
        let answer = match op {
            Op::Get(_) => RawGetResponse::decode(response).map(|r| {
                let value = (!r.not_found).then(|| r.value.to_vec());
                judge(r.region_error, &r.error, OpResult::Value(value))
            }),
            Op::Put(..) | Op::Append(..) => RawPutResponse::decode(response)
                .map(|r| judge(r.region_error, &r.error, OpResult::Written)),
            Op::Delete(_) => RawDeleteResponse::decode(response)
                .map(|r| judge(r.region_error, &r.error, OpResult::Written)),
            Op::Cas { .. } => RawCasResponse::decode(response).map(|r| {
                let previous = (!r.previous_not_exist).then(|| r.previous_value.to_vec());
                let result = OpResult::Swapped { swapped: r.succeed, previous };
                judge(r.region_error, &r.error, result)
            }),
            Op::Scan { .. } => RawScanResponse::decode(response).map(|r| {
                let text = r.kvs.iter().find_map(|pair| Some(pair.error.as_ref()?.abort.clone()));
                let pairs = r.kvs.iter().map(|pair| (pair.key.to_vec(), pair.value.to_vec()));
                let result = OpResult::Pairs(pairs.collect());
                judge(r.region_error, &text.unwrap_or_default(), result)
            }),
            Op::Txn(_) => return Answer::Nonsense("the raw API has no transactions".into()),
        };
        answer.unwrap_or_else(|e| Answer::Nonsense(format!("the response does not decode: {e}")))
    }

    fn message(&mut self, _: NodeId, _: NodeId, channel: Channel, bytes: &[u8]) -> MessageInfo {
        let (envelope, part) = match channel {
            Channel::Snapshot => match SnapshotChunk::decode(bytes) {
                Ok(chunk) => (chunk.message.unwrap_or_default(), Some(chunk.data.len())),
                Err(e) => return rubbish(&e),
            },
            _ => match RaftMessage::decode(bytes) {
                Ok(envelope) => (envelope, None),
                Err(e) => return rubbish(&e),
            },
        };
        let region = envelope.region_id;
        let Some(message) = envelope.message else {
            return MessageInfo { kind: "empty".into(), region, ..MessageInfo::default() };
        };
        if let Some(len) = part {
            let text = format!("{} ({len} bytes)", describe(&message));
            return MessageInfo { kind: "Part".into(), text, region, ..MessageInfo::default() };
        }
        let (kind, yes) = (message.msg_type(), !message.reject);
        let name = kind.as_str_name();
        MessageInfo {
            kind: name.strip_prefix("Msg").unwrap_or(name).into(),
            text: describe(&message),
            region,
            vote: (kind == MessageType::MsgRequestVoteResponse && yes)
                .then_some(Vote { term: message.term, candidate: message.to }),
            ack: (kind == MessageType::MsgAppendResponse && yes)
                .then_some(Ack { term: message.term, index: message.index }),
        }
    }
}

/// What a response means to a client.
fn judge(error: Option<errorpb::Error>, text: &str, result: OpResult) -> Answer {
    let Some(error) = error else {
        return if text.is_empty() { Answer::Result(result) } else { Answer::Refused(text.into()) };
    };
    if let Some(not_leader) = error.not_leader {
        return Answer::NotLeader(not_leader.leader.map(|peer| peer.store_id));
    }
    if error.stale_command.is_some() {
        return Answer::Retry("stale command".into());
    }
    Answer::Nonsense(format!("a region error that nothing has earned: {}", error.message))
}

fn rubbish(error: &prost::DecodeError) -> MessageInfo {
    MessageInfo { kind: "rubbish".into(), text: error.to_string(), ..MessageInfo::default() }
}

/// A message in the compact notation.
fn describe(message: &Message) -> String {
    let entries: Vec<String> =
        message.entries.iter().map(|Entry { index, term, .. }| format!("{index}@{term}")).collect();
    let (index, base, term, commit) =
        (message.index, message.log_term, message.term, message.commit);
    let reject = if message.reject { " rejected" } else { "" };
    match message.msg_type() {
        MessageType::MsgAppend => {
            format!("term={term} base={index}@{base} [{}] commit={commit}", entries.join(" "))
        }
        MessageType::MsgSnapshot => {
            let at = message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
            let (index, of) = at.map_or((0, 0), |metadata| (metadata.index, metadata.term));
            format!("term={term} at={index}@{of}")
        }
        MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResponse => {
            format!("term={term} commit={commit}{reject}")
        }
        _ => format!("term={term} index={index}@{base}{reject}"),
    }
}
