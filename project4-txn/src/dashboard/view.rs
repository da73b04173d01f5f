//! What the page draws, as one JSON value.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use multiraft::raftstore::PeerReport;
use multiraft::scheduler::server::{Driver, Times};
use multiraft::scheduler::{Cluster, RegionInfo, StoreInfo};
use proto::metapb::{Peer, PeerRole, Region};
use serde_json::{Value, json};
use standalone::keys::TAIL_START;
use standalone::server::SystemClock;
use txn::mvcc::key;
use txn::server::Watch;

use super::numbers;
use crate::cli::show::show;

// Leaders report the sizes of regions in bytes, and the scheduler adds them up as they are.

/// The most regions that are drawn: a page of more helps nobody.
const REGIONS: usize = 2_000;

/// What the scheduler knows, and what each store says of itself.
pub(super) async fn of_cluster(driver: Arc<Driver>) -> Value {
    let pages = driver.call(|cluster, _| {
        let known = cluster.stores().filter(|info| !info.is_tombstone());
        known.map(|info| (info.id(), info.store.status_address.clone())).collect::<Vec<_>>()
    });
    let asked = pages.unwrap_or_default().into_iter().filter(|(_, address)| !address.is_empty());
    let asked = asked.map(|(id, address)| async move { (id, numbers::ask(&address).await) });
    let told: BTreeMap<u64, Value> =
        join_all(asked).await.into_iter().filter_map(|(id, told)| Some((id, told?))).collect();
    let timestamps = driver.timestamps();
    driver
        .call(|cluster, times| cluster_view(cluster, times, &told, timestamps))
        .unwrap_or_else(|status| json!({ "error": status.message() }))
}

fn cluster_view(
    cluster: &Cluster,
    times: Times,
    told: &BTreeMap<u64, Value>,
    timestamps: u64,
) -> Value {
    let lags = lags(told);
    let mut regions: Vec<&RegionInfo> = cluster.regions().iter().collect();
    regions.sort_by(|a, b| a.region.start_key.cmp(&b.region.start_key));
    let regions = regions.into_iter().take(REGIONS).map(|info| {
        let peers = info.region.peers.iter().map(|peer| {
            let state = match () {
                () if info.is_down(peer.id) => "down",
                () if info.is_pending(peer.id) => "pending",
                () => "ok",
            };
            peer_view(peer, state, lags.get(&peer.id).copied())
        });
        region_view(&info.region, info.leader_store(), Some(info.size >> 20), peers.collect())
    });
    let live = cluster.stores().filter(|info| !info.is_tombstone());
    let stores = live.map(|info| store_view(cluster, info, times, told.get(&info.id())));
    let ended = cluster.operators().history().map(|ended| {
        json!({
            "operator": ended.operator.to_string(),
            "status": ended.status.as_str_name(),
            "reason": ended.reason,
            "at_ms": ended.at,
        })
    });
    json!({
        "from": "scheduler",
        "cluster": cluster.id().to_string(),
        "at_ms": SystemClock.unix_millis(),
        "regions": regions.collect::<Vec<_>>(),
        "stores": stores.collect::<Vec<_>>(),
        "operators": cluster.operators().running().map(ToString::to_string).collect::<Vec<_>>(),
        "ended": ended.collect::<Vec<_>>(),
        "tso": timestamps,
        "links": [],
        "bank": null,
    })
}

fn store_view(cluster: &Cluster, info: &StoreInfo, times: Times, told: Option<&Value>) -> Value {
    let shelf = cluster.regions().shelf(info.id()).cloned().unwrap_or_default();
    json!({
        "id": info.id(),
        "address": info.store.address,
        "state": info.store.state().as_str_name(),
        "health": format!("{:?}", info.health(times.uptime, cluster.config())),
        "silent_ms": times.uptime.saturating_sub(info.heard),
        "regions": shelf.peers(),
        "leaders": shelf.leaders.len(),
        "size_mib": shelf.size >> 20,
        "used_mib": info.stats.as_ref().map(|stats| stats.used_size >> 20),
        "free_mib": info.stats.as_ref().map(|stats| stats.available >> 20),
        "numbers": told,
    })
}

/// How far each follower is behind, by peer, as the leaders' stores tell it.
fn lags(told: &BTreeMap<u64, Value>) -> BTreeMap<u64, u64> {
    let pairs = told.values().filter_map(|numbers| numbers["lags"].as_array()).flatten();
    pairs.filter_map(|pair| Some((pair[0].as_u64()?, pair[1].as_u64()?))).collect()
}

/// What one store knows: its own peers.
pub(super) async fn of_store(watch: Watch) -> Value {
    let mut peers = watch.peers().await;
    peers.retain(|peer| !peer.region.peers.is_empty());
    peers.sort_by(|a, b| a.region.start_key.cmp(&b.region.start_key));
    let regions: Vec<Value> = peers.iter().take(REGIONS).map(own_region).collect();
    let size: u64 = peers.iter().map(|peer| peer.size).sum();
    json!({
        "from": format!("store {}", watch.store()),
        "cluster": null,
        "at_ms": SystemClock.unix_millis(),
        "regions": regions,
        "stores": [{
            "id": watch.store(),
            "address": "",
            "state": "Up",
            "health": "Alive",
            "silent_ms": null,
            "regions": peers.len(),
            "leaders": peers.iter().filter(|peer| peer.leads).count(),
            "size_mib": size >> 20,
            "used_mib": null,
            "free_mib": null,
            "numbers": numbers::of(&watch).await,
        }],
        "operators": [],
        "ended": [],
        "tso": null,
        "links": [],
        "bank": null,
    })
}

fn own_region(report: &PeerReport) -> Value {
    let peers = report.region.peers.iter().map(|peer| peer_view(peer, "ok", report.lag(peer.id)));
    let leader = report.leader.map_or(0, |peer| peer.store_id);
    // Who does not lead may not have measured it.
    region_view(&report.region, leader, report.leads.then_some(report.size >> 20), peers.collect())
}

fn region_view(region: &Region, leader: u64, size_mib: Option<u64>, peers: Vec<Value>) -> Value {
    let epoch = region.region_epoch.unwrap_or_default();
    json!({
        "id": region.id,
        "start": bound(&region.start_key),
        "end": bound(&region.end_key),
        "tail": region.start_key == TAIL_START[..],
        "epoch": format!("{}:{}", epoch.conf_ver, epoch.version),
        "leader": leader,
        "size_mib": size_mib,
        "peers": peers,
    })
}

fn peer_view(peer: &Peer, state: &str, lag: Option<u64>) -> Value {
    json!({
        "id": peer.id,
        "store": peer.store_id,
        "role": if peer.role() == PeerRole::Learner { "learner" } else { "voter" },
        "state": state,
        "lag": lag,
    })
}

/// A region's bound as the key that it encodes; empty: there is none.
fn bound(position: &[u8]) -> String {
    match position {
        [] => String::new(),
        encoded => key::decode(encoded).map_or_else(|_| show(encoded), |(key, _)| show(&key)),
    }
}
