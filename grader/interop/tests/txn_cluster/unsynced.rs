//! A leader without a timestamp. The scheduler is down when a store dies and another takes over its regions: that one has not
//! served the reads before it, and nobody can tell it how late they were. So it may not choose a commit timestamp; all
//! else goes on.

use std::time::Duration;

use proto::kvrpcpb::{CommitRequest, Context, GetRequest, Mutation, Op, PrewriteRequest};
use proto::tikvpb::tikv_client::TikvClient;
use tikv_client::TimestampExt as _;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::cluster::{Cluster, STORES};
use super::until;

const KEY: &str = "unsynced";

fn prewrite(context: &Context, key: &str, start_version: u64) -> PrewriteRequest {
    PrewriteRequest {
        context: Some(context.clone()),
        mutations: vec![Mutation {
            op: Op::Put.into(),
            key: key.to_owned().into(),
            value: "v".into(),
            ..Default::default()
        }],
        primary_lock: key.to_owned().into(),
        start_version,
        lock_ttl: 20_000,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_timestamp_chooses_none() {
    let mut cluster = Cluster::start().await;
    let client = cluster.client().await;
    // As it will stay: nobody tells how its members have changed while the scheduler is down.
    let found = until("a region with all its copies", async || {
        let found = cluster.region(KEY).await?;
        let whole = found.region.as_ref().is_some_and(|region| region.peers.len() == STORES);
        (whole && found.leader.is_some() && found.pending_peers.is_empty()).then_some(found)
    });
    let found = found.await;
    let region = found.region.expect("it is led");
    let old = found.leader.expect("as above").store_id;
    let stores = cluster.stores().await;
    // Handed out before the scheduler ends, by it.
    let start = client.current_timestamp().await.unwrap().version();

    cluster.kill(0);
    let at = |id: u64| stores.iter().position(|store| store.0 == id).expect("it is one of ours");
    cluster.kill(1 + at(old));
    assert_eq!(stores.len(), STORES);

    // Whoever leads now says so: a read by ReadIndex goes through, and an ordinary transaction.
    let peers: Vec<_> = region.peers.iter().filter(|peer| peer.store_id != old).collect();
    let (mut store, context) = until("another leader", async || {
        for peer in &peers {
            let context = Context {
                region_id: region.id,
                region_epoch: region.region_epoch,
                peer: Some(**peer),
                ..Default::default()
            };
            let url = format!("http://{}", stores[at(peer.store_id)].1);
            let channel = Channel::from_shared(url).ok()?.connect().await.ok()?;
            let mut store = TikvClient::new(channel);
            let key = KEY.to_owned().into();
            let read = GetRequest { context: Some(context.clone()), key, version: start };
            let answer = store.kv_get(read);
            let answer = answer.await.ok()?.into_inner();
            if answer.region_error.is_none() {
                return Some((store, context));
            }
        }
        None
    })
    .await;
    let answer = store.kv_prewrite(prewrite(&context, "ordinary", start)).await.unwrap();
    assert_eq!((answer.get_ref().region_error.clone(), answer.get_ref().errors.len()), (None, 0));
    let commit = CommitRequest {
        context: Some(context.clone()),
        start_version: start,
        keys: vec!["ordinary".into()],
        commit_version: start + 1,
    };
    let answer = store.kv_commit(commit).await.unwrap().into_inner();
    assert_eq!((answer.region_error, answer.error), (None, None));

    // One that needs a timestamp is held, and sent away.
    for one_phase in [true, false] {
        let request = PrewriteRequest {
            try_one_pc: one_phase,
            use_async_commit: true,
            ..prewrite(&context, KEY, start + 2)
        };
        let began = Instant::now();
        let answer = store.kv_prewrite(request).await.unwrap().into_inner();
        let error = answer.region_error.expect("nobody knows what was read before");
        assert!(error.stale_command.is_some(), "{error:?}");
        assert!(began.elapsed() > Duration::from_millis(900), "it was held for a while first");
    }

    // The scheduler is back, with larger timestamps.
    cluster.revive(0);
    let now = until("a timestamp", async || client.current_timestamp().await.ok()).await.version();
    assert!(now > start);
    let request = PrewriteRequest {
        try_one_pc: true,
        use_async_commit: true,
        ..prewrite(&context, KEY, start + 2)
    };
    let committed = until("a timestamp of the store's own", async || {
        let answer = store.kv_prewrite(request.clone()).await.ok()?.into_inner();
        assert_eq!(answer.errors, []);
        answer.region_error.is_none().then_some(answer.one_pc_commit_ts)
    })
    .await;
    // All reads of the leader before were at timestamps from before this one.
    assert!(committed > start + 3, "the store has chosen {committed}, with no look at the oracle");
    assert!(committed >> 18 > start >> 18, "{committed} is not later than the start {start}");
}
