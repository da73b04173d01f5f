//! A world, its scheduler, and what tests ask of them.

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use prost::Message as _;
use proto::errorpb;
use proto::kvrpcpb::{Context, RawGetRequest, RawGetResponse};
use proto::metapb::{Peer, Region, RegionEpoch};
use proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, ChangePeerRequest, CmdType, PutRequest,
    RaftCmdRequest, RaftCmdResponse, RaftRequestHeader, Request, SplitRequest,
};
use sim::cluster::dialect::Answer;
use sim::cluster::protocol::{Cluster, Micros, NodeId, RegionView, Role};
use sim::cluster::setup::{SECOND, Setup};
use sim::failure::{Failure, Outcome};
use sim::harness::Run;
use sim::history::{Op, OpResult};
use sim::world::{CallEnd, CallId, World};

use super::config::{FIRST, StoreConfig};
use super::dialect::{COMMANDER, ManyRegions};
use super::pd::{Pd, Wish};

/// A world with a scheduler.
pub struct City<'w, 'a> {
    pub world: World<'w, 'a>,
    pd: Rc<RefCell<Pd>>,
}

/// What a command came to.
#[derive(Debug)]
pub enum Said {
    /// Done.
    Done(Box<RaftCmdResponse>),
    /// Not here, or not now.
    Region(Box<errorpb::Error>),
    /// Refused for good, with this text: failure texts show it.
    Refused(#[allow(dead_code)] String),
    /// Something else, for failure texts.
    Other(#[allow(dead_code)] String),
}

pub fn broke<T>(
    what: impl Into<String>,
    fact: impl Into<String>,
    contradiction: impl Into<String>,
) -> Outcome<T> {
    Err(Failure::broke(what, fact, contradiction))
}

impl<'w, 'a> City<'w, 'a> {
    pub fn new(run: &'w mut Run<'a, Cluster>, config: &StoreConfig) -> Outcome<Self> {
        Self::with(run, config.setup())
    }

    pub fn with(run: &'w mut Run<'a, Cluster>, setup: Setup) -> Outcome<Self> {
        let pd = Rc::new(RefCell::new(Pd::new()));
        let dialect = Box::new(ManyRegions { pd: pd.clone() });
        let world = World::new(run, setup, dialect)?;
        Ok(City { world, pd })
    }

    pub fn pd(&self) -> Ref<'_, Pd> {
        self.pd.borrow()
    }

    pub fn wish(&self, key: &[u8], wish: Wish) {
        self.pd.borrow_mut().wish(key, wish);
    }

    /// Waits until the first region has a leader that the scheduler knows, and that has applied the mark of its term: before
    /// that it rightly refuses changes.
    pub fn settle(&mut self) -> Outcome<NodeId> {
        let leader = self.led(b"")?;
        self.world.run_until(SECOND, |world| {
            world.view(leader, REGION).is_some_and(|view| view.applied == view.last)
        })?;
        Ok(leader)
    }

    /// Waits until the region that has `key` has a leader that the scheduler knows.
    pub fn led(&mut self, key: &[u8]) -> Outcome<NodeId> {
        let pd = self.pd.clone();
        let leader = |world: &World<'_, '_>| {
            let pd = pd.borrow();
            let (region, leader) = pd.find(key)?;
            let view = world.view(leader.store_id, region.id)?;
            (view.role == Role::Leader).then_some(leader.store_id)
        };
        if self.world.run_until(10 * SECOND, |world| leader(world).is_some())? {
            return Ok(leader(&self.world).unwrap_or_default());
        }
        broke(
            "a region has no leader that the scheduler knows",
            format!("ten seconds were enough for a calm world, key {key:?}"),
            format!("the scheduler knows {:?}", self.pd.borrow().find(key)),
        )
    }

    /// Waits until all wishes are fulfilled.
    pub fn fulfil(&mut self, span: Micros) -> Outcome {
        let pd = self.pd.clone();
        if self.world.run_until(span, |_| pd.borrow().is_content())? {
            return Ok(());
        }
        broke(
            "the scheduler's operators are not carried out",
            format!("it says them again with every heartbeat, for {} ms", span / 1_000),
            format!("it still waits for what it wants: {:?}", self.pd.borrow()),
        )
    }

    /// Wishes, and waits until it is so.
    pub fn make(&mut self, key: &[u8], wish: Wish) -> Outcome {
        self.wish(key, wish);
        self.fulfil(15 * SECOND)
    }

    /// The region that has a key, as the scheduler knows it.
    pub fn region(&self, key: &[u8]) -> Region {
        self.pd.borrow().find(key).map(|(region, _)| region.clone()).unwrap_or_default()
    }

    /// Writes through whoever leads, and insists.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome {
        let op = Op::Put(key.to_vec(), value.to_vec());
        self.insist(key, op, &OpResult::Written)
    }

    /// Reads through whoever leads, and insists.
    pub fn expect(&mut self, key: &[u8], value: Option<&[u8]>) -> Outcome {
        let wanted = OpResult::Value(value.map(<[u8]>::to_vec));
        self.insist(key, Op::Get(key.to_vec()), &wanted)
    }

    fn insist(&mut self, key: &[u8], op: Op, wanted: &OpResult) -> Outcome {
        let mut last = String::new();
        for _ in 0..20 {
            let leader = self.led(key)?;
            let end = self.world.call(1, op.clone(), leader)?;
            match end.result() {
                Some(result) if result == wanted => return Ok(()),
                Some(result) => {
                    return broke(
                        "a request was not answered as it must be",
                        format!("{op} at n{leader} must give {wanted}"),
                        format!("it gave {result}"),
                    );
                }
                None => last = format!("{end:?}"),
            }
            self.world.run_for(SECOND / 10)?;
        }
        broke(
            "a request is not served in a calm world",
            format!("{op} was asked twenty times, of whom the scheduler takes for the leader"),
            format!("the last answer was {last}"),
        )
    }

    /// The header of a request for the region that has a key, to the peer on this store.
    pub fn header(&self, key: &[u8], to: NodeId) -> RaftRequestHeader {
        let region = self.region(key);
        let peer = region.peers.iter().find(|peer| peer.store_id == to).copied();
        RaftRequestHeader {
            region_id: region.id,
            peer,
            region_epoch: region.region_epoch,
            ..Default::default()
        }
    }

    /// A command as it is, to this store.
    pub fn command(&mut self, to: NodeId, command: &RaftCmdRequest) -> Outcome<Said> {
        self.pd.borrow_mut().command = Some(("RaftCmd".into(), command.encode_to_vec()));
        self.pd.borrow_mut().answered = None;
        let end = self.world.call(COMMANDER, Op::Get(b"~command".to_vec()), to)?;
        Ok(self.said(&end))
    }

    pub fn said(&self, end: &CallEnd) -> Said {
        let answered = self.pd.borrow_mut().answered.take();
        match (end, answered) {
            (CallEnd::Status(status), _) if status.definite => Said::Refused(status.text.clone()),
            (_, Some(bytes)) => match RaftCmdResponse::decode(&bytes[..]) {
                Ok(response) => match response.header.clone().and_then(|header| header.error) {
                    Some(error) => Said::Region(Box::new(error)),
                    None => Said::Done(Box::new(response)),
                },
                Err(error) => Said::Other(error.to_string()),
            },
            (end, None) => Said::Other(format!("{end:?}")),
        }
    }

    /// This store's view of a region.
    pub fn view(&self, node: NodeId, region: u64) -> Option<&RegionView> {
        self.world.view(node, region)
    }

    /// The view of the first region on whoever leads it.
    pub fn epoch(&self, region: u64) -> (u64, u64) {
        let leader = self.world.leader(region).unwrap_or_default();
        self.world.view(leader, region).map_or((0, 0), |view| view.epoch)
    }

    /// All is well, all keys belong to a leader, and the history is right.
    pub fn finish(mut self) -> Outcome {
        self.world.finish()?;
        self.world.monitors().covers_all_keys()
    }
}

pub fn put_command(header: RaftRequestHeader, key: &[u8], value: &[u8]) -> RaftCmdRequest {
    let key = [b"r", key].concat();
    let put = PutRequest { cf: "default".into(), key: key.into(), value: value.to_vec().into() };
    let request = Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() };
    RaftCmdRequest { header: Some(header), requests: vec![request], ..Default::default() }
}

pub fn change_command(
    header: RaftRequestHeader,
    kind: proto::eraftpb::ConfChangeType,
    peer: Peer,
) -> RaftCmdRequest {
    let change = ChangePeerRequest { change_type: kind.into(), peer: Some(peer) };
    admin(
        header,
        AdminRequest {
            cmd_type: AdminCmdType::ChangePeer.into(),
            change_peer: Some(change),
            ..Default::default()
        },
    )
}

pub fn split_command(header: RaftRequestHeader, splits: &[Cut]) -> RaftCmdRequest {
    let requests = splits.iter().map(|(key, region, peers)| SplitRequest {
        split_key: key.clone().into(),
        new_region_id: *region,
        new_peer_ids: peers.clone(),
        ..Default::default()
    });
    let splits = BatchSplitRequest { requests: requests.collect(), right_derive: true };
    admin(
        header,
        AdminRequest {
            cmd_type: AdminCmdType::BatchSplit.into(),
            splits: Some(splits),
            ..Default::default()
        },
    )
}

fn admin(header: RaftRequestHeader, admin: AdminRequest) -> RaftCmdRequest {
    RaftCmdRequest { header: Some(header), admin_request: Some(admin), ..Default::default() }
}

/// An epoch that is not the present one.
pub fn epoch(conf_ver: u64, version: u64) -> RegionEpoch {
    RegionEpoch { conf_ver, version }
}

/// A cut: the key, the new region's id, and its peers'.
pub type Cut = (Vec<u8>, u64, Vec<u64>);

/// The first region's id, for tests that look at views.
pub const REGION: u64 = FIRST;

impl City<'_, '_> {
    /// A command that is on its way while the world goes on. At most one at a time per client number is remembered, so each
    /// has its own.
    pub fn begin_command(&mut self, to: NodeId, command: &RaftCmdRequest) -> CallId {
        self.pd.borrow_mut().command = Some(("RaftCmd".into(), command.encode_to_vec()));
        self.world.begin(COMMANDER, Op::Get(b"~command".to_vec()), to)
    }

    /// What became of it.
    pub fn said_of(&self, call: CallId) -> Said {
        match self.world.ended(call) {
            Some(CallEnd::Status(status)) if status.definite => Said::Refused(status.text.clone()),
            Some(CallEnd::Answered(Answer::Retry(text))) if text == "done" => {
                Said::Done(Box::default())
            }
            Some(CallEnd::Answered(Answer::Retry(_))) => Said::Region(Box::default()),
            other => Said::Other(format!("{other:?}")),
        }
    }

    /// A key that nobody else writes was written, or was not.
    pub fn expect_any(&mut self, key: &[u8], written: bool) -> Outcome {
        let leader = self.led(key)?;
        // Not of the history: commands are not.
        let header = self.header(key, leader);
        let found = self.peek(header, key, leader)?;
        if found == Some(written) || found.is_none() {
            return Ok(());
        }
        broke(
            "a write's client was told something else than what happened",
            format!(
                "it was told that the write {}",
                if written { "is done" } else { "never happens" }
            ),
            format!("key {key:?} is {}", if written { "not there" } else { "there" }),
        )
    }

    fn peek(
        &mut self,
        header: RaftRequestHeader,
        key: &[u8],
        leader: NodeId,
    ) -> Outcome<Option<bool>> {
        let call = self.begin_get(leader, header, key);
        let patience = 10 * SECOND;
        self.world.run_until(patience, |world| world.ended(call).is_some())?;
        Ok(self.found())
    }

    /// A read with this header that is on its way while the world goes on; one at a time.
    pub fn begin_get(&mut self, to: NodeId, header: RaftRequestHeader, key: &[u8]) -> CallId {
        let context = Context {
            region_id: header.region_id,
            region_epoch: header.region_epoch,
            peer: header.peer,
            ..Default::default()
        };
        let request = RawGetRequest {
            context: Some(context),
            key: key.to_vec().into(),
            ..Default::default()
        };
        self.pd.borrow_mut().command = Some(("RawGet".into(), request.encode_to_vec()));
        self.pd.borrow_mut().answered = None;
        self.world.begin(COMMANDER, Op::Get(b"~command".to_vec()), to)
    }

    /// Whether the read has found something; `None` if it was not answered, or not here.
    pub fn found(&self) -> Option<bool> {
        let answered = self.pd.borrow_mut().answered.take();
        let response = answered.and_then(|bytes| RawGetResponse::decode(&bytes[..]).ok());
        response.filter(|r| r.region_error.is_none()).map(|r| !r.not_found)
    }
}
