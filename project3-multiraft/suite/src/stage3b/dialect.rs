//! What the world's clients say: the raw API, routed by the scheduler's map, as the official clients do it.

use std::cell::RefCell;
use std::rc::Rc;

use prost::Message as _;
use proto::errorpb;
use proto::kvrpcpb::{
    Context, RawCasResponse, RawDeleteResponse, RawGetRequest, RawGetResponse, RawPutResponse,
    RawScanResponse,
};
use proto::metapb::Peer;
use proto::raft_cmdpb::RaftCmdResponse;
use raftkv_suite::dialect::RawDialect;
use sim::cluster::dialect::{Answer, Dialect, MessageInfo};
use sim::cluster::protocol::{Channel, Micros, NodeId};
use sim::history::Op;

use super::pd::Pd;

/// The client that gives commands in place of its operations: see `Pd::command`.
pub const COMMANDER: u64 = 999;

/// The raw API on many regions.
pub struct ManyRegions {
    /// The map, and the scheduler behind it.
    pub pd: Rc<RefCell<Pd>>,
}

fn position(op: &Op) -> &[u8] {
    match op {
        Op::Get(key)
        | Op::Put(key, _)
        | Op::Append(key, _)
        | Op::Delete(key)
        | Op::Cas { key, .. } => key,
        Op::Scan { start, .. } => start,
        Op::Txn(_) => &[],
    }
}

fn region_error(op: &Op, bytes: &[u8]) -> Option<errorpb::Error> {
    match op {
        Op::Get(_) => RawGetResponse::decode(bytes).ok()?.region_error,
        Op::Put(..) | Op::Append(..) => RawPutResponse::decode(bytes).ok()?.region_error,
        Op::Delete(_) => RawDeleteResponse::decode(bytes).ok()?.region_error,
        Op::Cas { .. } => RawCasResponse::decode(bytes).ok()?.region_error,
        Op::Scan { .. } => RawScanResponse::decode(bytes).ok()?.region_error,
        Op::Txn(_) => None,
    }
}

impl Dialect for ManyRegions {
    fn request(&mut self, client: u64, op: &Op, to: NodeId) -> (String, Vec<u8>) {
        let mut pd = self.pd.borrow_mut();
        if client == COMMANDER {
            return pd.command.take().unwrap_or_default();
        }
        let (method, mut bytes) = RawDialect.request(client, op, to);
        if let Some((region, _)) = pd.find(position(op)) {
            let peer = region.peers.iter().find(|peer| peer.store_id == to);
            let context = Context {
                region_id: region.id,
                region_epoch: region.region_epoch,
                peer: peer.copied().or(Some(Peer { id: to, store_id: to, ..Default::default() })),
                ..Default::default()
            };
            // All requests have their context in field 1, and what comes later in a message counts.
            let later = RawGetRequest { context: Some(context), ..Default::default() };
            bytes.extend(later.encode_to_vec());
        }
        (method, bytes)
    }

    fn answer(&mut self, client: u64, op: &Op, from: NodeId, response: &[u8]) -> Answer {
        let mut pd = self.pd.borrow_mut();
        if client == COMMANDER {
            pd.answered = Some(response.to_vec());
            let error = RaftCmdResponse::decode(response).ok().and_then(|r| r.header?.error);
            return Answer::Retry(error.map_or("done".into(), |error| error.message));
        }
        let Some(error) = region_error(op, response) else {
            return RawDialect.answer(client, op, from, response);
        };
        if let Some(not_leader) = &error.not_leader
            && let Some(leader) = not_leader.leader
        {
            return Answer::NotLeader(Some(leader.store_id));
        }
        if error.epoch_not_match.as_ref().is_some_and(|e| e.current_regions.is_empty()) {
            return Answer::Nonsense("EpochNotMatch without a region".into());
        }
        let known = error.not_leader.is_some()
            || error.epoch_not_match.is_some()
            || error.region_not_found.is_some()
            || error.key_not_in_region.is_some()
            || error.mismatch_peer_id.is_some()
            || error.stale_command.is_some();
        if !known {
            return Answer::Nonsense(format!("a region error of no kind: {}", error.message));
        }
        match pd.find(position(op)) {
            Some((_, leader)) if leader.store_id != from => {
                Answer::NotLeader(Some(leader.store_id))
            }
            _ => Answer::Retry(error.message),
        }
    }

    fn hears(
        &mut self,
        now: Micros,
        from: NodeId,
        _: NodeId,
        bytes: &[u8],
    ) -> Vec<(NodeId, Vec<u8>)> {
        let answer = self.pd.borrow_mut().hear(now, bytes);
        answer.into_iter().map(|answer| (from, answer.encode())).collect()
    }

    fn message(&mut self, from: NodeId, to: NodeId, channel: Channel, bytes: &[u8]) -> MessageInfo {
        if channel == Channel::Scheduler {
            return MessageInfo { kind: "Scheduler".into(), ..MessageInfo::default() };
        }
        RawDialect.message(from, to, channel, bytes)
    }
}
