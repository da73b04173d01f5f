//! `/metrics` for Prometheus, `/status` as JSON for people, and what people change: stores to be emptied, and the members
//! and leaders of regions.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::ORIGIN;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus::{Encoder as _, IntGaugeVec, Opts, Registry, TextEncoder};
use serde_json::{Value, json};

use super::driver::{Driver, Times};
use crate::scheduler::{Change, Cluster, Kind};

/// The pages.
pub fn router(driver: Arc<Driver>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .merge(orders())
        .with_state(driver)
}

/// What changes something. Whoever can reach the address may do it, but no page in a browser: those say where they are
/// from, and a command does not.
fn orders() -> Router<Arc<Driver>> {
    Router::new()
        .route("/stores/{id}/remove", post(remove))
        .route("/stores/{id}/restore", post(restore))
        .route("/regions/{id}/{what}/{store}", post(plan))
        .layer(from_fn(no_browser))
}

async fn no_browser(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        let text = "a page in a browser may not ask for this: use `tinykv ctl`\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    next.run(request).await
}

type Page = Result<Response, (StatusCode, String)>;

fn failed(error: &impl ToString) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn status(State(driver): State<Arc<Driver>>) -> Page {
    let told = driver.call(|cluster, times| as_json(cluster, times)).map_err(|e| failed(&e))?;
    Ok(Json(told).into_response())
}

async fn metrics(State(driver): State<Arc<Driver>>) -> Page {
    let registry = driver.call(|cluster, times| gauges(cluster, times)).map_err(|e| failed(&e))?;
    let mut text = Vec::new();
    let families = registry.map_err(|e| failed(&e))?.gather();
    TextEncoder::new().encode(&families, &mut text).map_err(|e| failed(&e))?;
    Ok(([("content-type", "text/plain; version=0.0.4")], text).into_response())
}

async fn remove(State(driver): State<Arc<Driver>>, Path(store): Path<u64>) -> Page {
    change(driver.tell(|cluster, _| cluster.remove_store(store)))
}

async fn restore(State(driver): State<Arc<Driver>>, Path(store): Path<u64>) -> Page {
    change(driver.tell(|cluster, _| cluster.restore_store(store)))
}

/// A plan for one region: `add-peer`, `remove-peer` and `transfer-leader`, each with a store.
async fn plan(
    State(driver): State<Arc<Driver>>,
    Path((region, what, store)): Path<(u64, String, u64)>,
) -> Page {
    let change = match what.as_str() {
        "add-peer" => Change::Add { to: store },
        "remove-peer" => Change::Remove { from: store },
        "transfer-leader" => Change::Transfer { to: store },
        _ => return Err((StatusCode::NOT_FOUND, format!("`{what}` is no plan for a region\n"))),
    };
    let taken = driver.tell(|cluster, times| cluster.admin(region, vec![change], times.uptime));
    match taken.map_err(|e| failed(&e))? {
        Ok(()) => Ok("taken up\n".into_response()),
        Err(why) => Err((StatusCode::BAD_REQUEST, format!("{why}\n"))),
    }
}

fn change(done: Result<Result<(), proto::pdpb::Error>, tonic::Status>) -> Page {
    match done.map_err(|e| failed(&e))? {
        Ok(()) => Ok("done\n".into_response()),
        Err(error) => Err((StatusCode::BAD_REQUEST, error.message)),
    }
}

fn as_json(cluster: &Cluster, times: Times) -> Value {
    let stores: Vec<Value> = cluster
        .stores()
        .map(|info| {
            let shelf = cluster.regions().shelf(info.id()).cloned().unwrap_or_default();
            json!({
                "id": info.id(),
                "address": info.store.address,
                "state": info.store.state().as_str_name(),
                "health": format!("{:?}", info.health(times.uptime, cluster.config())),
                "silent_ms": times.uptime.saturating_sub(info.heard),
                "regions": shelf.peers(),
                "leaders": shelf.leaders.len(),
                "pending": shelf.pending.len(),
                "size_mib": shelf.size,
            })
        })
        .collect();
    let operators: Vec<String> = cluster.operators().running().map(ToString::to_string).collect();
    let ended: Vec<Value> = cluster
        .operators()
        .history()
        .map(|ended| {
            json!({
                "operator": ended.operator.to_string(),
                "status": ended.status.as_str_name(),
                "reason": ended.reason,
                "at_ms": ended.at,
            })
        })
        .collect();
    json!({
        "cluster_id": cluster.id(),
        "uptime_ms": times.uptime,
        "bootstrapped": cluster.is_open(),
        "tail_split_off": cluster.has_tail(),
        "regions": cluster.regions().len(),
        "stores": stores,
        "operators": operators,
        "ended_operators": ended,
    })
}

// The names are PD's where it has one. All are made anew for each scrape: the cluster is the only place where numbers live.
fn gauges(cluster: &Cluster, times: Times) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let family = |name: &str, help: &str, labels: &[&str]| {
        let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(gauge.clone()))?;
        Ok::<_, prometheus::Error>(gauge)
    };
    let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let cluster_status = family("pd_cluster_status", "The cluster as a whole.", &["type"])?;
    let set = |kind: &str, n: usize| cluster_status.with_label_values(&[kind]).set(whole(n));
    set("region_count", cluster.regions().len());
    set("leader_count", cluster.regions().iter().filter(|info| info.leader.is_some()).count());
    let store_status =
        family("pd_scheduler_store_status", "What each store has.", &["address", "store", "type"])?;
    for info in cluster.stores().filter(|info| !info.is_tombstone()) {
        let shelf = cluster.regions().shelf(info.id()).cloned().unwrap_or_default();
        let store = info.id().to_string();
        let set = |kind: &str, n: usize| {
            let labels = [info.store.address.as_str(), &store, kind];
            store_status.with_label_values(&labels).set(whole(n));
        };
        set("region_count", shelf.peers());
        set("leader_count", shelf.leaders.len());
        set("pending_peer_count", shelf.pending.len());
        set("region_size", usize::try_from(shelf.size).unwrap_or(usize::MAX));
        set(
            "silent_ms",
            usize::try_from(times.uptime.saturating_sub(info.heard)).unwrap_or(usize::MAX),
        );
    }
    let running = family("pd_schedule_operators", "Operators under way.", &["kind"])?;
    for kind in [Kind::Leader, Kind::Region, Kind::Replica, Kind::Admin] {
        running.with_label_values(&[kind.name()]).set(whole(cluster.operators().count(kind)));
    }
    let ended =
        family("pd_schedule_operators_count", "Operators that have ended.", &["type", "event"])?;
    for ((why, status), count) in &cluster.operators().ended {
        ended.with_label_values(&[*why, *status]).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    Ok(registry)
}
