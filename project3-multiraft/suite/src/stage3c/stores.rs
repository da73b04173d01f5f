//! Opening the cluster, and its stores.

use proto::metapb::{Store, StoreLabel, StoreState};
use proto::pdpb::{
    BootstrapRequest, ErrorType, GetAllStoresRequest, GetStoreRequest, IsBootstrappedRequest,
    PutStoreRequest, StoreHeartbeatRequest, StoreStats, UpdateGcSafePointRequest,
    UpdateServiceGcSafePointRequest,
};
use sim::failure::{Failure, Outcome, expect_eq};
use sim::harness::Test;

use super::protocol::{Scheduler, Settings};
use super::world::{Pd, Shape, World, store};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("stores.rs":
        a_cluster_is_opened_once,
        a_store_is_known_when_it_has_announced_itself,
        a_store_keeps_its_state_when_it_announces_itself_again,
        an_address_belongs_to_one_store,
        an_emptied_store_is_gone_for_good,
        stores_survive_a_crash,
        the_safe_point_only_grows,
    )
}

fn put(pd: &mut Pd, store: Store) -> Outcome {
    pd.done(PutStoreRequest { store: Some(store), ..Default::default() }).map(drop)
}

fn get(pd: &mut Pd, store_id: u64) -> Outcome<Store> {
    let answer = pd.done(GetStoreRequest { store_id, ..Default::default() })?;
    Ok(answer.store.unwrap_or_default())
}

fn expect_kind(what: &str, wanted: ErrorType, seen: &proto::pdpb::Error) -> Outcome {
    expect_eq(|| format!("{what} is refused with another error"), &wanted, &seen.r#type())
}

/// The first store opens the cluster, with a region that covers all keys. The second one that tries is told so and
/// changes nothing. Before, no store is taken in; and a first region that does not cover everything is refused.
fn a_cluster_is_opened_once(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let early = pd.refused(PutStoreRequest { store: Some(store(1)), ..Default::default() })?;
    expect_kind("a store before the cluster is open", ErrorType::NotBootstrapped, &early)?;
    let half = Shape::new(1, "", "m").on(&[1]).region();
    let two = Shape::new(1, "", "").on(&[1, 2]).region();
    for region in [half, two] {
        let (store, region) = (Some(store(1)), Some(region));
        pd.refused(BootstrapRequest { store, region, ..Default::default() })?;
    }
    pd.open_cluster(1)?;
    let region = Some(Shape::new(4, "", "").on(&[3]).region());
    let late =
        pd.refused(BootstrapRequest { store: Some(store(3)), region, ..Default::default() })?;
    expect_kind("the second to open the cluster", ErrorType::AlreadyBootstrapped, &late)?;
    pd.crash()?;
    let open = pd.done(IsBootstrappedRequest::default())?.bootstrapped;
    expect_eq(|| "whether the cluster is open was forgotten".into(), &true, &open)?;
    pd.refused(GetStoreRequest { store_id: 3, ..Default::default() }).map(drop)
}

/// A store is taken in with what it says about itself, as `Up`; id 0 is refused, and so is the report of a store that
/// nobody has announced.
fn a_store_is_known_when_it_has_announced_itself(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(1)?;
    let refused = pd.refused(PutStoreRequest { store: Some(store(0)), ..Default::default() })?;
    expect_kind("a store without an id", ErrorType::InvalidValue, &refused)?;
    let stats = Some(StoreStats { store_id: 2, ..Default::default() });
    pd.refused(StoreHeartbeatRequest { stats, ..Default::default() })?;
    let label = StoreLabel { key: "zone".into(), value: "z1".into() };
    let announced = Store { labels: vec![label], version: "1.0".into(), ..store(2) };
    put(&mut pd, announced.clone())?;
    pd.store_beats(&[2])?;
    expect_eq(|| "a store is not as it announced itself".into(), &announced, &get(&mut pd, 2)?)?;
    let all = pd.done(GetAllStoresRequest::default())?.stores;
    let ids: Vec<u64> = all.iter().map(|store| store.id).collect();
    expect_eq(|| "the list of all stores".into(), &vec![1, 2], &ids)
}

/// A store that is being emptied restarts and says, as stores do, that it is `Up`. Its new address counts; its opinion
/// about its state does not, or a removal would be undone by every restart.
///
/// Hint: the state is the scheduler's decision.
fn a_store_keeps_its_state_when_it_announces_itself_again(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(3)?;
    pd.remove_store(2)?;
    put(&mut pd, Store { address: "127.0.0.1:9".into(), ..store(2) })?;
    let seen = get(&mut pd, 2)?;
    expect_eq(|| "the store's new address".into(), &"127.0.0.1:9".to_owned(), &seen.address)?;
    expect_eq(|| "the state of a store being emptied".into(), &StoreState::Offline, &seen.state())
}

/// Two stores with one address cannot both be right: the later one is refused, until the earlier one is gone for good.
/// The store itself may of course announce its address again.
fn an_address_belongs_to_one_store(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(2)?;
    put(&mut pd, store(2))?;
    let twin = Store { address: store(2).address, ..store(5) };
    let refused =
        pd.refused(PutStoreRequest { store: Some(twin.clone()), ..Default::default() })?;
    expect_kind("a second store with one address", ErrorType::DuplicatedEntry, &refused)?;
    pd.remove_store(2)?;
    pd.wait(1000)?;
    put(&mut pd, twin)
}

/// A store that was removed and has no peer left is a tombstone: it is left out of lists that ask for that, and neither
/// its reports nor a new announcement bring it back. One that still has peers is not buried.
fn an_emptied_store_is_gone_for_good(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(3)?;
    pd.remove_store(2)?;
    pd.remove_store(1)?;
    pd.wait(1000)?;
    expect_eq(
        || "the state of store 1, with peers".into(),
        &StoreState::Offline,
        &get(&mut pd, 1)?.state(),
    )?;
    expect_eq(
        || "the state of store 2, empty".into(),
        &StoreState::Tombstone,
        &get(&mut pd, 2)?.state(),
    )?;
    pd.crash()?;
    let stats = Some(StoreStats { store_id: 2, ..Default::default() });
    let refused = pd.refused(StoreHeartbeatRequest { stats, ..Default::default() })?;
    expect_kind("a tombstone's report", ErrorType::StoreTombstone, &refused)?;
    let refused = pd.refused(PutStoreRequest { store: Some(store(2)), ..Default::default() })?;
    expect_kind("a tombstone's announcement", ErrorType::StoreTombstone, &refused)?;
    let request = GetAllStoresRequest { exclude_tombstone_stores: true, ..Default::default() };
    let ids: Vec<u64> = pd.done(request)?.stores.iter().map(|store| store.id).collect();
    expect_eq(|| "the stores that are not tombstones".into(), &vec![1, 3], &ids)
}

/// Stores are on the disk when their announcement is answered, with their state.
fn stores_survive_a_crash(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(4)?;
    pd.remove_store(1)?;
    put(&mut pd, Store { address: "127.0.0.1:8".into(), ..store(4) })?;
    pd.crash()?;
    let all = pd.done(GetAllStoresRequest::default())?.stores;
    let seen: Vec<(u64, String, StoreState)> =
        all.into_iter().map(|store| (store.id, store.address.clone(), store.state())).collect();
    let wanted: Vec<(u64, String, StoreState)> = (1..=4)
        .map(|id| match id {
            1 => (1, store(1).address, StoreState::Offline),
            4 => (4, "127.0.0.1:8".into(), StoreState::Up),
            id => (id, store(id).address, StoreState::Up),
        })
        .collect();
    expect_eq(|| "the stores after a crash".into(), &wanted, &seen)
}

/// The garbage collection safe point never goes back, not over a crash either, and a service can hold it for a while.
fn the_safe_point_only_grows(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(1)?;
    let hold = |pd: &mut Pd, safe_point, ttl| {
        let service_id = b"backup".to_vec().into();
        let request =
            UpdateServiceGcSafePointRequest { service_id, ttl, safe_point, ..Default::default() };
        Ok::<_, Failure>(pd.done(request)?.min_safe_point)
    };
    let raise = |pd: &mut Pd, safe_point| {
        let request = UpdateGcSafePointRequest { safe_point, ..Default::default() };
        Ok::<_, Failure>(pd.done(request)?.new_safe_point)
    };
    let what = |what: &str| {
        let what = what.to_owned();
        move || what
    };
    expect_eq(what("a first safe point"), &100, &raise(&mut pd, 100)?)?;
    expect_eq(what("a wish below it"), &100, &raise(&mut pd, 50)?)?;
    // Nobody who begins before it could write any more: a timestamp that the oracle cannot have given out is none.
    for safe_point in [u64::MAX, u64::MAX - 1, (pd.now.wall + 3_600_000) << 18] {
        pd.refused(UpdateGcSafePointRequest { safe_point, ..Default::default() })?;
        expect_eq(what("a wish from the future"), &100, &raise(&mut pd, 100)?)?;
    }
    pd.crash()?;
    expect_eq(what("a wish below it, after a crash"), &100, &raise(&mut pd, 60)?)?;
    expect_eq(what("a hold above it"), &150, &hold(&mut pd, 150, 60)?)?;
    pd.crash()?;
    expect_eq(what("a wish above the hold"), &150, &raise(&mut pd, 200)?)?;
    pd.now.wall += 61_000;
    expect_eq(what("the same, when the hold is over"), &200, &raise(&mut pd, 200)?)?;
    let late = hold(&mut pd, 120, 60)?;
    if late > 120 {
        return Ok(());
    }
    Err(Failure::broke(
        "a hold that comes too late is not told so",
        "the safe point is 200, a hold at 120 is wished for",
        format!(
            "the answer's lowest point is {late}: the service thinks that its versions are safe"
        ),
    ))
}
