//! The solo PD: timestamps, the region map, and the store's own check of it.

use std::convert::identity;

use proto::kvrpcpb::{
    Context, RawDeleteRangeRequest, RawGetRequest, RawPutRequest, RawScanRequest,
};
use proto::metapb::RegionEpoch;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    GetAllStoresRequest, GetGcSafePointRequest, GetMembersRequest, GetRegionByIdRequest,
    GetRegionRequest, GetStoreRequest, IsBootstrappedRequest, RequestHeader, ScanRegionsRequest,
    Timestamp, TsoRequest, UpdateGcSafePointRequest,
};
use proto::tikvpb::tikv_client::TikvClient;
use standalone::keys::TAIL_START;
use standalone::pd::{Answer, Cluster, Tso, WINDOW_MS};
use tempfile::TempDir;
use tikv_client::TransactionClient;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::process::Server;

/// The timestamps of one batch, as the numbers that a client makes of them.
fn versions(timestamp: &Timestamp, count: u32) -> std::ops::RangeInclusive<i64> {
    assert!((0..1 << 18).contains(&timestamp.logical), "{timestamp:?}");
    assert!(timestamp.logical >= i64::from(count) - 1, "{timestamp:?} for {count}");
    let largest = (timestamp.physical << 18) + timestamp.logical;
    largest - i64::from(count) + 1..=largest
}

/// A source of timestamps with its disk: the last bound that was saved.
struct Oracle {
    tso: Tso,
    disk: u64,
}

impl Oracle {
    fn next(&mut self, now: u64, count: u32) -> Timestamp {
        loop {
            match self.tso.next(now, count) {
                Answer::Send(timestamp) => {
                    let physical = timestamp.physical.cast_unsigned();
                    assert!(physical < self.disk, "{timestamp:?} is not covered by {}", self.disk);
                    return timestamp;
                }
                Answer::SaveFirst(bound) => {
                    assert!(bound > self.disk, "a bound that does not rise ends in a loop");
                    self.disk = bound;
                    self.tso.saved(bound);
                }
                Answer::Refuse => panic!("{count} is allowed"),
            }
        }
    }
}

/// A hundred thousand requests of all sizes under a clock that stands, jumps and steps back, with
/// restarts in between, half of them after a bound was saved and before anything was sent under it.
#[test]
fn timestamps_rise_whatever_the_clock_does() {
    let mut oracle = Oracle { tso: Tso::new(0), disk: 0 };
    let (mut now, mut last) = (1_700_000_000_000_u64, 0);
    // Knuth's linear congruential generator: any mixture will do, as long as it is always the same.
    let mut random = 1_u64;
    let mut draw = |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..100_000 {
        match draw(100) {
            0 => now -= draw(20_000),
            1 => now += draw(20_000),
            2 => oracle.tso = Tso::new(oracle.disk),
            3 => {
                if let Answer::SaveFirst(bound) = oracle.tso.next(now, 1) {
                    oracle.disk = bound;
                }
                oracle.tso = Tso::new(oracle.disk);
            }
            n if n < 40 => now += 1,
            _ => {}
        }
        let count = match draw(4) {
            0 => 1 + draw((1 << 18) - 1),
            _ => 1 + draw(64),
        };
        let count = u32::try_from(count).unwrap();
        let versions = versions(&oracle.next(now, count), count);
        assert!(*versions.start() > last, "{versions:?} after {last}");
        last = *versions.end();
    }
}

#[test]
fn timestamps_follow_the_clock_and_save_once_a_window() {
    let mut tso = Tso::new(0);
    assert_eq!(tso.next(5_000, 1), Answer::SaveFirst(5_000 + WINDOW_MS));
    assert_eq!(tso.next(5_000, 1), Answer::SaveFirst(5_000 + WINDOW_MS), "it was not saved yet");
    tso.saved(5_000 + WINDOW_MS);
    for now in 5_000..5_000 + WINDOW_MS {
        let Answer::Send(timestamp) = tso.next(now, 8) else { panic!("nothing to save at {now}") };
        assert_eq!(timestamp.physical.cast_unsigned(), now);
    }
    let end = 5_000 + WINDOW_MS;
    assert_eq!(tso.next(end, 1), Answer::SaveFirst(end + WINDOW_MS));
    assert_eq!((tso.next(0, 0), tso.next(0, 1 << 18)), (Answer::Refuse, Answer::Refuse));
}

#[test]
fn the_regions_cover_everything_once() {
    let cluster = Cluster::solo(9, "127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    let regions = cluster.regions();
    assert!(regions[0].start_key.is_empty() && regions.last().unwrap().end_key.is_empty());
    for pair in regions.windows(2) {
        assert_eq!(pair[0].end_key, pair[1].start_key);
    }
    let header = Some(RequestHeader { cluster_id: 9, sender_id: 0 });
    let below = &[0xff; 8][..];
    for (key, id, before) in [
        (&b""[..], 1, None),
        (b"k", 1, None),
        (below, 1, None),
        (&TAIL_START, 2, Some(1)),
        (&[0xff; 20], 2, Some(1)),
    ] {
        let request =
            GetRegionRequest { header, region_key: key.to_vec().into(), ..Default::default() };
        let answer = cluster.get_region(&request);
        let region = answer.region.unwrap();
        assert_eq!((region.id, answer.leader.unwrap()), (id, region.peers[0]), "{key:?}");
        assert!(region.region_epoch.is_some() && answer.header.unwrap().error.is_none());
        let answer = cluster.get_prev_region(&request);
        assert_eq!(answer.region.map(|region| region.id), before, "{key:?}");
        assert!(answer.header.unwrap().error.is_none());
    }
    let scan = |start: &[u8], end: &[u8], limit| {
        let request = ScanRegionsRequest {
            header,
            start_key: start.to_vec().into(),
            end_key: end.to_vec().into(),
            limit,
        };
        let answer = cluster.scan_regions(&request);
        assert_eq!(answer.regions.len(), answer.region_metas.len());
        assert_eq!(answer.regions.len(), answer.leaders.len());
        answer.region_metas.iter().map(|region| region.id).collect::<Vec<_>>()
    };
    assert_eq!(scan(b"", b"", 0), [1, 2]);
    assert_eq!(scan(b"", b"", 1), [1]);
    assert_eq!(scan(b"a", b"b", 9), [1]);
    assert_eq!(scan(b"a", &TAIL_START, 9), [1]);
    assert_eq!(scan(&TAIL_START, b"", 9), [2]);
}

async fn channel(addr: &str) -> Channel {
    Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap()
}

/// A server, and the header with which its PD accepts requests.
async fn pd(server: &Server) -> (PdClient<Channel>, Option<RequestHeader>) {
    let mut pd = PdClient::new(channel(&server.pd_addr).await);
    let members = pd.get_members(GetMembersRequest::default()).await.unwrap().into_inner();
    let cluster_id = members.header.unwrap().cluster_id;
    assert!(cluster_id > 0);
    assert_eq!(members.leader.unwrap(), members.members[0]);
    assert_eq!(members.members[0].client_urls, [format!("http://{}", server.pd_addr)]);
    (pd, Some(RequestHeader { cluster_id, sender_id: 0 }))
}

/// Every answer has a header, which says so when the request was for another cluster.
#[tokio::test]
async fn every_answer_has_a_header() {
    let server = Server::in_memory();
    let (mut pd, header) = pd(&server).await;
    let other = Some(RequestHeader { cluster_id: 1, sender_id: 0 });
    macro_rules! check {
        ($($method:ident($request:expr);)+) => {
            $(for (header, fails) in [(header, false), (other, true), (None, true)] {
                let mut request = identity($request);
                request.header = header;
                let answer = pd.$method(request).await.unwrap().into_inner();
                let answered = answer.header.expect("official clients panic without a header");
                assert_eq!(answered.error.is_some(), fails, "{} {header:?}", stringify!($method));
            })+
        };
    }
    check! {
        is_bootstrapped(IsBootstrappedRequest::default());
        get_region(GetRegionRequest::default());
        get_prev_region(GetRegionRequest::default());
        get_region_by_id(GetRegionByIdRequest { region_id: 1, ..Default::default() });
        scan_regions(ScanRegionsRequest::default());
        get_store(GetStoreRequest { store_id: 1, ..Default::default() });
        get_all_stores(GetAllStoresRequest::default());
        get_gc_safe_point(GetGcSafePointRequest::default());
        update_gc_safe_point(UpdateGcSafePointRequest::default());
    }
    for region_id in [0, 3, u64::MAX] {
        let request = GetRegionByIdRequest { header, region_id, ..Default::default() };
        let answer = pd.get_region_by_id(request).await.unwrap().into_inner();
        assert!(answer.region.is_none() && answer.header.unwrap().error.is_some());
        let request = GetStoreRequest { header, store_id: region_id };
        let answer = pd.get_store(request).await.unwrap().into_inner();
        assert!(answer.store.is_none() && answer.header.unwrap().error.is_some());
    }
    let store = pd.get_store(GetStoreRequest { header, store_id: 1 }).await.unwrap().into_inner();
    assert_eq!(store.store.unwrap().address, server.addr, "the real address, not port 0");
}

/// The answers to these requests on one stream; ends with the stream.
async fn tso(
    pd: &mut PdClient<Channel>,
    requests: Vec<TsoRequest>,
) -> Result<Vec<Timestamp>, tonic::Status> {
    let counts: Vec<u32> = requests.iter().map(|request| request.count).collect();
    let stream = futures_util::stream::iter(requests);
    let mut answers = pd.tso(stream).await?.into_inner();
    let mut timestamps = Vec::new();
    while let Some(answer) = answers.message().await? {
        assert_eq!(answer.count, counts[timestamps.len()]);
        timestamps.push(answer.timestamp.unwrap());
    }
    Ok(timestamps)
}

#[tokio::test]
async fn a_stream_has_an_answer_for_each_request_in_order_and_ends_on_a_bad_one() {
    let server = Server::in_memory();
    let (mut pd, header) = pd(&server).await;
    let request = |count| TsoRequest { header, count, ..Default::default() };
    let counts = [1, 64, 1, 262_143, 7];
    let timestamps = tso(&mut pd, counts.map(request).to_vec()).await.unwrap();
    assert_eq!(timestamps.len(), counts.len());
    let batches: Vec<_> = timestamps.iter().zip(counts).map(|(t, n)| versions(t, n)).collect();
    assert!(batches.windows(2).all(|pair| pair[0].end() < pair[1].start()), "{batches:?}");

    let stranger = TsoRequest { count: 1, ..Default::default() };
    let refused = tso(&mut pd, vec![request(1), stranger]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    for count in [0, 1 << 18] {
        let refused = tso(&mut pd, vec![request(count)]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

/// Timestamps, safe point and cluster id outlive a kill -9; the official client reads the
/// timestamps.
#[tokio::test(flavor = "multi_thread")]
async fn what_pd_must_remember_outlives_a_kill() {
    let data = TempDir::new().unwrap();
    let (mut last, mut id) = (0, None);
    for round in 1..4 {
        let server = Server::on(&data);
        let (mut pd, header) = pd(&server).await;
        assert_eq!(*id.get_or_insert(header), header, "one directory, one cluster");
        let raise = |safe_point| UpdateGcSafePointRequest { header, safe_point };
        let now = pd.update_gc_safe_point(raise(1)).await.unwrap().into_inner().new_safe_point;
        assert_eq!(now, (round - 1).max(1), "it never goes back");
        pd.update_gc_safe_point(raise(round)).await.unwrap();
        let read = GetGcSafePointRequest { header };
        let read = pd.get_gc_safe_point(read).await.unwrap().into_inner().safe_point;
        assert_eq!(read, round);

        let client = TransactionClient::new(vec![server.pd_addr.clone()]).await.unwrap();
        for _ in 0..100 {
            let timestamp = client.current_timestamp().await.unwrap();
            let version = (timestamp.physical << 18) + timestamp.logical;
            assert!(version > last, "{version} after {last}");
            last = version;
        }
        server.kill();
    }
}

/// The store refuses what PD did not promise, and says where to look instead.
#[tokio::test]
async fn the_store_checks_region_and_epoch() {
    let server = Server::in_memory();
    let mut store = TikvClient::new(channel(&server.addr).await);
    let epoch = |version| Some(RegionEpoch { conf_ver: 1, version });
    let in_region = |region_id, version| {
        Some(Context { region_id, region_epoch: epoch(version), ..Default::default() })
    };
    let put = |context, key: &'static [u8]| RawPutRequest {
        context,
        key: key.into(),
        value: "v".into(),
        ..Default::default()
    };
    // A client that was given the address by hand names no region.
    for context in [in_region(1, 1), Some(Context::default()), None] {
        let answer = store.raw_put(put(context, b"k")).await.unwrap().into_inner();
        assert_eq!((answer.region_error, answer.error), (None, String::new()));
    }

    let answer = store.raw_put(put(in_region(7, 1), b"k")).await.unwrap().into_inner();
    assert_eq!(answer.region_error.unwrap().region_not_found.unwrap().region_id, 7);
    let answer = store.raw_put(put(in_region(1, 2), b"k")).await.unwrap().into_inner();
    let current = answer.region_error.unwrap().epoch_not_match.unwrap().current_regions;
    assert!(
        current.iter().any(|region| region.id == 1),
        "an empty list burns the client's retries"
    );
    let answer = store.raw_put(put(in_region(2, 1), b"k")).await.unwrap().into_inner();
    let outside = answer.region_error.unwrap().key_not_in_region.unwrap();
    assert_eq!((&outside.key[..], outside.region_id), (&b"k"[..], 2));
    let get = RawGetRequest { context: in_region(2, 1), key: "k".into(), ..Default::default() };
    let answer = store.raw_get(get).await.unwrap().into_inner();
    assert!(answer.region_error.unwrap().key_not_in_region.is_some());
    let answer = store.raw_put(put(in_region(2, 1), &TAIL_START)).await.unwrap().into_inner();
    assert!(answer.error.contains("reserved"), "{}", answer.error);

    // Ranges are cut to the region: the tail is empty, and stays so.
    for reverse in [false, true] {
        let scan = |id| RawScanRequest {
            context: in_region(id, 1),
            limit: 10,
            reverse,
            ..Default::default()
        };
        assert_eq!(store.raw_scan(scan(1)).await.unwrap().into_inner().kvs.len(), 1);
        assert_eq!(store.raw_scan(scan(2)).await.unwrap().into_inner().kvs.len(), 0);
    }
    let clear = |id| RawDeleteRangeRequest { context: in_region(id, 1), ..Default::default() };
    let get = || RawGetRequest { context: in_region(1, 1), key: "k".into(), ..Default::default() };
    store.raw_delete_range(clear(2)).await.unwrap();
    assert!(!store.raw_get(get()).await.unwrap().into_inner().not_found, "the tail has no `k`");
    store.raw_delete_range(clear(1)).await.unwrap();
    assert!(store.raw_get(get()).await.unwrap().into_inner().not_found);
}
