//! The subject of stage 3C: answers the suite's inputs with this crate.

use multiraft::scheduler::{
    self as pd, Change, Cluster, Config, Kind, Next, Operator, Policy, RegionInfo,
};
use multiraft_suite::stage3c::protocol::{self, Effect, Input, Now, Scheduler};
use prost::Message;
use proto::metapb::RegionEpoch;
use proto::pdpb::{self, ResponseHeader};
use serde_bytes::ByteBuf;
use sim::seam::Subject;

/// The id that a new cluster gets here.
const CLUSTER: u64 = 7;

/// A scheduler that was started, or will be by [`Input::Open`].
#[derive(Default)]
pub struct Placement {
    cluster: Option<Cluster>,
}

impl Subject<Scheduler> for Placement {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Open { settings, saved, now } => {
                let pairs =
                    saved.into_iter().map(|(key, value)| (key.into_vec(), value.into_vec().into()));
                let cluster = Cluster::open(config(&settings), pairs, CLUSTER, now.uptime);
                self.cluster = Some(cluster.expect("the judge gives back what was saved"));
                self.effects(Vec::new())
            }
            Input::Look(step, region) => {
                let (step, region) = (self::step(step), info(&region));
                let order = step.order(&region).encode_to_vec();
                vec![Effect::Looked(step.is_done(&region), order.into())]
            }
            Input::Advance { steps, at, conf_ver, started, region, now, timeout } => {
                let region = info(&region);
                let mut operator = Operator {
                    region: region.id(),
                    kind: Kind::Admin,
                    why: "a test",
                    steps: steps.into_iter().map(step).collect(),
                    at: usize::try_from(at).expect("a few steps"),
                    epoch: RegionEpoch { conf_ver, ..region.epoch() },
                    started,
                    ordered: started,
                };
                let next = match operator.advance(&region, now, timeout) {
                    Next::Order(order) => Ok(order.encode_to_vec().into()),
                    Next::End(status, _) => Err(status.into()),
                };
                vec![Effect::Advanced(operator.at as u64, next)]
            }
            Input::Tick(now) => {
                self.cluster().tick(now.uptime);
                self.effects(Vec::new())
            }
            Input::Admin(region, changes, now) => {
                let changes = changes.into_iter().map(change).collect();
                let done = self.cluster().admin(region, changes, now.uptime);
                self.effects(vec![Effect::Planned(done.map_err(str::to_owned))])
            }
            Input::RemoveStore(store, _) => {
                let done = self.cluster().remove_store(store);
                self.effects(vec![Effect::Planned(done.map_err(|error| error.message))])
            }
            Input::Calls(calls, now) => {
                let mut effects = Vec::new();
                for (method, request) in calls {
                    let answer = call(self.cluster(), &method, &request, now);
                    effects.extend(self.effects(vec![Effect::Answer(answer)]));
                }
                effects
            }
        }
    }
}

impl Placement {
    fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().expect("the judge asks a scheduler that it opened")
    }

    // What was saved comes before what waits for it.
    fn effects(&mut self, answers: Vec<Effect>) -> Vec<Effect> {
        let outbox = self.cluster().take_outbox();
        let bytes = |value: bytes::Bytes| ByteBuf::from(value.to_vec());
        let writes: Vec<_> = outbox
            .writes
            .into_iter()
            .map(|write| (write.key.into(), write.value.map(bytes)))
            .collect();
        let save = (!writes.is_empty()).then_some(Effect::Save { writes, sync: outbox.must_sync });
        let orders = outbox.orders.iter().map(|order| Effect::Order(order.encode_to_vec().into()));
        save.into_iter().chain(orders).chain(answers).collect()
    }
}

fn call(cluster: &mut Cluster, method: &str, request: &[u8], now: Now) -> Result<ByteBuf, String> {
    let (up, wall) = (now.uptime, now.wall);
    let answer = match method {
        "Bootstrap" => cluster.bootstrap(decode(request), up).encode_to_vec(),
        "IsBootstrapped" => cluster.is_bootstrapped(&decode(request)).encode_to_vec(),
        "AllocID" => cluster.alloc_id(&decode(request)).encode_to_vec(),
        "Tso" => cluster.tso(&decode(request), wall).map_err(|e| e.message)?.encode_to_vec(),
        "PutStore" => cluster.put_store(decode(request), up).encode_to_vec(),
        "GetStore" => cluster.get_store(&decode(request)).encode_to_vec(),
        "GetAllStores" => cluster.get_all_stores(&decode(request)).encode_to_vec(),
        "StoreHeartbeat" => cluster.store_heartbeat(decode(request), up).encode_to_vec(),
        "RegionHeartbeat" => {
            let error = cluster.region_heartbeat(decode(request), up).err();
            ResponseHeader { cluster_id: cluster.id(), error }.encode_to_vec()
        }
        "GetRegion" => cluster.get_region(&decode(request), up).encode_to_vec(),
        "GetPrevRegion" => cluster.get_prev_region(&decode(request), up).encode_to_vec(),
        "GetRegionByID" => cluster.get_region_by_id(&decode(request), up).encode_to_vec(),
        "ScanRegions" => cluster.scan_regions(&decode(request), up).encode_to_vec(),
        "AskSplit" => cluster.ask_split(decode(request)).encode_to_vec(),
        "AskBatchSplit" => cluster.ask_batch_split(&decode(request)).encode_to_vec(),
        "ReportSplit" => cluster.report_split(decode(request)).encode_to_vec(),
        "ReportBatchSplit" => cluster.report_batch_split(decode(request)).encode_to_vec(),
        "ScatterRegion" => cluster.scatter_region(&decode(request), up).encode_to_vec(),
        "GetOperator" => cluster.get_operator(&decode(request)).encode_to_vec(),
        "GetGCSafePoint" => cluster.get_gc_safe_point(&decode(request)).encode_to_vec(),
        "UpdateGCSafePoint" => {
            cluster.update_gc_safe_point(&decode(request), wall / 1000).encode_to_vec()
        }
        "UpdateServiceGCSafePoint" => {
            cluster.update_service_gc_safe_point(&decode(request), wall / 1000).encode_to_vec()
        }
        "GetClusterConfig" => cluster.get_cluster_config(&decode(request)).encode_to_vec(),
        "PutClusterConfig" => cluster.put_cluster_config(&decode(request)).encode_to_vec(),
        other => panic!("the judge calls {other}, which this subject does not know"),
    };
    Ok(answer.into())
}

fn decode<Q: Message + Default>(request: &[u8]) -> Q {
    Q::decode(request).expect("the judge sends well-formed requests")
}

fn info(heartbeat: &[u8]) -> RegionInfo {
    let request = pdpb::RegionHeartbeatRequest::decode(heartbeat);
    RegionInfo::from_heartbeat(request.expect("well-formed"))
        .expect("the judge's regions are sound")
}

fn step(step: protocol::Step) -> pd::Step {
    match step {
        protocol::Step::AddLearner(store, peer) => pd::Step::AddLearner { store, peer },
        protocol::Step::AddPeer(store, peer) => pd::Step::AddPeer { store, peer },
        protocol::Step::Promote(store, peer) => pd::Step::PromoteLearner { store, peer },
        protocol::Step::Transfer(to) => pd::Step::TransferLeader { to },
        protocol::Step::Remove(store) => pd::Step::RemovePeer { store },
    }
}

fn change(change: protocol::Change) -> Change {
    match change {
        protocol::Change::Move(from, to) => Change::Move { from, to },
        protocol::Change::Add(to) => Change::Add { to },
        protocol::Change::Remove(from) => Change::Remove { from },
        protocol::Change::Transfer(to) => Change::Transfer { to },
    }
}

fn config(settings: &protocol::Settings) -> Config {
    let number = |n: u64| usize::try_from(n).expect("a small number");
    Config {
        max_replicas: number(settings.max_replicas),
        max_store_down_time: settings.max_store_down_time,
        disconnect_after: settings.disconnect_after,
        leader_schedule_limit: number(settings.leader_schedule_limit),
        region_schedule_limit: number(settings.region_schedule_limit),
        replica_schedule_limit: number(settings.replica_schedule_limit),
        store_limit: settings.store_limit,
        region_schedule_policy: if settings.by_count { Policy::Count } else { Policy::Size },
        leader_operator_timeout: settings.leader_operator_timeout,
        region_operator_timeout: settings.region_operator_timeout,
        seed: settings.seed,
        ..Config::default()
    }
}
