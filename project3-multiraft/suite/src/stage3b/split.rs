//! Regions are cut, and nobody notices but those with an old map.

use proto::raft_cmdpb::RaftRequestHeader;
use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::{MS, SECOND};
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;
use sim::world::World;

use super::chaos::cutting;
use super::city::{self, City, REGION, Said, broke, change_command, put_command, split_command};
use super::config::StoreConfig;
use super::pd::{Wish, boundary};

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("split.rs":
        a_split_that_makes_no_sense_is_refused,
        a_split_that_a_change_overtook_is_refused,
        a_region_is_cut_in_two,
        a_split_at_the_border_is_refused,
        the_second_of_two_equal_splits_does_nothing,
        both_halves_serve,
        the_right_half_has_a_leader_at_once,
        a_map_from_before_the_split_is_refused,
        a_write_that_was_overtaken_by_a_split_never_happens,
        a_write_without_an_epoch_is_overtaken_too,
        a_read_across_a_split_sees_the_whole_range_or_nothing,
        halves_are_found_after_a_crash,
        a_power_cut_at_any_point_of_a_split_loses_nothing,
        a_region_that_has_grown_is_cut,
        a_region_is_cut_near_its_middle,
        the_end_of_a_region_is_no_place_to_cut,
        a_split_while_the_network_is_in_two,
    )
}

/// What a split must not be, and what the answer and the epoch must be then.
fn refused(city: &mut City<'_, '_>, cases: Vec<(&str, &[u8], Vec<city::Cut>)>) -> Outcome {
    let version = |city: &City<'_, '_>, key: &[u8]| {
        city.region(key).region_epoch.map_or(0, |epoch| epoch.version)
    };
    for (what, whose, splits) in cases {
        let before = version(city, whose);
        let header = city.header(whose, 1);
        let said = city.command(1, &split_command(header, &splits))?;
        city.world.run_for(SECOND / 2)?;
        let refused = matches!(&said, Said::Refused(_))
            || matches!(&said, Said::Region(error) if error.key_not_in_region.is_some());
        let after = version(city, whose);
        if !refused || after != before {
            return broke(
                "a split that makes no sense was not refused",
                format!("asked to cut {what}, at version {before}"),
                format!("the answer was {said:?}; the version is {after}"),
            );
        }
    }
    Ok(())
}

fn one(key: &[u8]) -> Vec<city::Cut> {
    vec![(key.to_vec(), 900, vec![901])]
}

/// A cut needs a key at which a region may begin, ids for the new region and its peers, and keys that rise.
///
/// Hint: where may a region begin? Raw and transactional clients read one map.
fn a_split_that_makes_no_sense_is_refused(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    city.settle()?;
    let (m, r) = (boundary(b"m"), boundary(b"r"));
    let cases: Vec<(&str, &[u8], Vec<city::Cut>)> = vec![
        ("at the beginning of all keys", b"a", one(b"")),
        ("at a key that is no encoding", b"a", one(b"m")),
        ("at an encoding with something behind it", b"a", one(&[&m[..], b"x"].concat())),
        ("without an id for the peer", b"a", vec![(m.clone(), 900, vec![])]),
        ("without an id for the region", b"a", vec![(m.clone(), 0, vec![901])]),
        ("twice at one key", b"a", [one(&m), one(&m)].concat()),
        ("at keys that fall", b"a", [one(&r), one(&m)].concat()),
        ("nowhere", b"a", vec![]),
    ];
    refused(&mut city, cases)?;
    city.put(b"a", b"1")?;
    city.finish()
}

/// A cut must leave two regions that are regions: a key at the border or outside would make one without keys, or two with the
/// same.
///
/// Hint: is the region's own start key inside? Its end key?
fn a_split_at_the_border_is_refused(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    city.settle()?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    city.led(b"x")?;
    let (c, k, m) = (boundary(b"c"), boundary(b"k"), boundary(b"m"));
    let cases: Vec<(&str, &[u8], Vec<city::Cut>)> = vec![
        ("at the right region's own start", b"x", one(&k)),
        ("at the left region's end", b"a", one(&k)),
        ("the left region behind its end", b"a", one(&m)),
        ("the right region before its start", b"x", one(&c)),
    ];
    refused(&mut city, cases)?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.finish()
}

/// Two wish for the same cut at the same time, of a region whose log is slow: both commands lie in it side by side. The first is
/// executed; the second finds another region, and must not cut again.
fn the_second_of_two_equal_splits_does_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    city.put(b"a", b"1")?;
    for other in (1..=3).filter(|node| *node != leader) {
        city.world.fault(Fault::SlowLink(leader, other, 40 * MS), Some(SECOND))?;
    }
    let header = city.header(b"", leader);
    let peers = |first: u64| vec![first, first + 1, first + 2];
    let first = [(boundary(b"k"), 900, peers(901))];
    let second = [(boundary(b"k"), 910, peers(911))];
    city.begin_command(leader, &split_command(header, &first));
    let late = city.begin_command(leader, &split_command(header, &second));
    city.world.run_for(2 * SECOND)?;
    let said = city.said_of(late);
    if city.world.monitors().regions().contains(&910) || matches!(said, Said::Done(_)) {
        return broke(
            "a region was cut twice at one key",
            "two splits at k were made for version 1; the first raised it",
            format!("the second one's client was told {said:?}"),
        );
    }
    city.put(b"a", b"2")?;
    city.put(b"x", b"2")?;
    city.finish()
}

/// A split was right when it was proposed; a change of members came before it in the log, so that it has not an id for each peer
/// any more. It is refused when it is applied, and changes nothing.
///
/// Hint: everything that was asked at the proposal is asked again.
fn a_split_that_a_change_overtook_is_refused(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    // The log writer takes its time: both commands lie in the log before the first is applied.
    city.world.fault(Fault::SlowDisk(Who::Node(1), 40), Some(SECOND))?;
    let header = city.header(b"", 1);
    let learner =
        proto::metapb::Peer { id: 40, store_id: 9, role: proto::metapb::PeerRole::Learner.into() };
    let kind = proto::eraftpb::ConfChangeType::AddLearnerNode;
    city.begin_command(1, &change_command(header, kind, learner));
    let split = city.begin_command(1, &split_command(header, &one(&boundary(b"m"))));
    city.world.run_for(2 * SECOND)?;
    let said = city.said_of(split);
    let view = city.view(1, REGION).map(|view| view.epoch);
    let regions = city.world.monitors().regions().len();
    if matches!(said, Said::Done(_)) || regions != 1 || view.is_none_or(|(_, v)| v != 1) {
        return broke(
            "a split that has not an id for each peer was executed",
            "a learner was added by the entry before it",
            format!("its client was told {said:?}; {regions} regions, epoch {view:?}"),
        );
    }
    city.expect(b"a", Some(b"1"))
}

/// A split is executed: one region becomes two, the version of both is one higher, their ranges are the old one's parts, and
/// the right one keeps the old id (`right_derive`).
///
/// Hint: which of them keeps the old id, and what does each new peer find on its disk?
fn a_region_is_cut_in_two(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    let leader = city.settle()?;
    let header = city.header(b"", leader);
    let command = split_command(
        header,
        &[(boundary(b"g"), 900, vec![901]), (boundary(b"p"), 910, vec![911])],
    );
    let said = city.command(leader, &command)?;
    let regions = match &said {
        Said::Done(response) => response
            .admin_response
            .as_ref()
            .and_then(|answer| answer.splits.as_ref())
            .map(|answer| answer.regions.clone())
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    let shape = |region: &proto::metapb::Region| {
        let epoch = region.region_epoch.unwrap_or_default();
        let peers: Vec<u64> = region.peers.iter().map(|peer| peer.id).collect();
        let range = (region.start_key.to_vec(), region.end_key.to_vec());
        (region.id, range, (epoch.conf_ver, epoch.version), peers)
    };
    let shown: Vec<_> = regions.iter().map(shape).collect();
    let wanted = vec![
        (900, (vec![], boundary(b"g")), (1, 3), vec![901]),
        (910, (boundary(b"g"), boundary(b"p")), (1, 3), vec![911]),
        (REGION, (boundary(b"p"), vec![]), (1, 3), vec![1]),
    ];
    if shown != wanted {
        return broke(
            "a split does not give the regions that it must give",
            format!("region 1 at 1:1 was cut at g and p, which must give {wanted:?}"),
            format!("it gave {said:?}"),
        );
    }
    Ok(())
}

/// After a split each half serves its keys, and all replicas agree about both.
///
/// Hint: in which order do you enter the parts into the map? A peer that is new needs a raft state in the log's file, too.
fn both_halves_serve(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.expect(b"a", Some(b"1"))?;
    city.expect(b"x", Some(b"1"))?;
    city.put(b"a", b"2")?;
    city.put(b"x", b"2")?;
    city.make(b"x", Wish::Split(b"r".to_vec()))?;
    for key in [b"a", b"n", b"x"] {
        city.put(key, b"3")?;
    }
    city.finish()
}

/// On the store that leads the old region the new one's peer campaigns at once, and the others vote: clients must not wait
/// for an election timeout.
fn the_right_half_has_a_leader_at_once(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    city.wish(b"", Wish::Split(b"k".to_vec()));
    let two = |world: &World<'_, '_>| {
        world.monitors().views().filter(|(_, view)| view.region != REGION).count() > 0
    };
    city.world.run_until(10 * SECOND, two)?;
    let since = city.world.now();
    let led = |world: &World<'_, '_>| {
        let regions = world.monitors().regions();
        regions.len() > 1 && regions.iter().all(|region| world.leader(*region) == Some(leader))
    };
    if city.world.run_until(150 * MS, led)? {
        return city.finish();
    }
    broke(
        "a region that was split off has no leader for an election timeout",
        format!("n{leader} led the old region when it applied the split, at {} ms", since / MS),
        "150 ms later (elections take 300 and more) it does not lead both",
    )
}

/// A client with a map from before the split is told `EpochNotMatch`, and the regions that are there now, before anything of its
/// request happens.
fn a_map_from_before_the_split_is_refused(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(1, 1))?;
    let leader = city.settle()?;
    let old = city.header(b"", leader);
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    city.led(b"a")?;
    for key in [&b"a"[..], b"x"] {
        match city.command(leader, &put_command(old, key, b"old map"))? {
            Said::Region(error) if error.epoch_not_match.is_some() => {
                let regions = error.epoch_not_match.map(|e| e.current_regions).unwrap_or_default();
                if regions.iter().all(|region| region.region_epoch == old.region_epoch) {
                    return broke(
                        "EpochNotMatch does not tell the regions of now",
                        "the region was split since",
                        format!("it tells {regions:?}"),
                    );
                }
            }
            other => {
                return broke(
                    "a request with an old map was not refused",
                    "it named version 1, and a split has raised it",
                    format!("the answer was {other:?}"),
                );
            }
        }
    }
    city.expect(b"a", None)?;
    city.expect(b"x", None)?;
    city.finish()
}

fn overtaken(run: &mut Run<'_, Cluster>, named: bool) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    // Nothing is committed until the followers answer: the split and the writes lie in the log side by side.
    let others: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    let mut late = Vec::new();
    for other in &others {
        late.push(city.world.fault(Fault::SlowLink(leader, *other, 40 * MS), None)?);
    }
    city.wish(b"", Wish::Split(b"k".to_vec()));
    let mut calls = Vec::new();
    let header = city.header(b"", leader);
    let header = if named { header } else { RaftRequestHeader { region_epoch: None, ..header } };
    for number in 0..60u8 {
        let key = [b'a', number];
        let value = if number % 2 == 0 { &b"l"[..] } else { b"r" };
        let key = if number % 2 == 0 { key.to_vec() } else { [b"x", &key[..]].concat() };
        calls.push((key.clone(), city.begin_command(leader, &put_command(header, &key, value))));
        city.world.run_for(4 * MS)?;
    }
    city.world.run_for(2 * SECOND)?;
    for fault in late {
        city.world.heal(fault)?;
    }
    city.fulfil(10 * SECOND)?;
    let (mut done, mut refused) = (0, 0);
    for (key, call) in calls {
        match city.said_of(call) {
            Said::Done(_) => {
                done += 1;
                city.expect_any(&key, true)?;
            }
            Said::Region(_) | Said::Refused(_) => {
                refused += 1;
                city.expect_any(&key, false)?;
            }
            Said::Other(_) => {}
        }
    }
    if done == 0 || refused == 0 {
        // The seed did not let them meet; others do.
        city.put(b"a", b"1")?;
    }
    city.finish()
}

/// A write was legal when it was proposed; then a split came before it in the log. When it is applied its key may belong to
/// another region, so that it must be refused there, on all replicas alike, and its client told that it never happened.
///
/// Hint: the epoch in the entry's header is compared with the region *as the entries before it left it*.
fn a_write_that_was_overtaken_by_a_split_never_happens(run: &mut Run<'_, Cluster>) -> Outcome {
    overtaken(run, true)
}

/// A request that names no epoch comes from a client without a map. It is served by the region as it is; but if a split comes
/// before it in the log, it must be refused like any other.
///
/// Hint: what must be in the header of the entry, if nothing was in the request's?
fn a_write_without_an_epoch_is_overtaken_too(run: &mut Run<'_, Cluster>) -> Outcome {
    overtaken(run, false)
}

/// A scan was asked of the whole range and waits for its index; meanwhile the region becomes half of it. It may answer with what
/// was in the whole range, or be refused; half of it would look whole.
fn a_read_across_a_split_sees_the_whole_range_or_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    for key in [b"a", b"x"] {
        city.put(key, b"1")?;
    }
    for other in (1..=3).filter(|node| *node != leader) {
        city.world.fault(Fault::SlowLink(leader, other, 20 * MS), None)?;
    }
    city.wish(b"", Wish::Split(b"k".to_vec()));
    let mut scans = Vec::new();
    for client in 0..50 {
        let op = Op::Scan { start: b"a".to_vec(), end: b"y".to_vec(), limit: 10 };
        if city.region(b"a").region_epoch.is_some_and(|epoch| epoch.version == 1) {
            scans.push(city.world.begin(20 + client, op, leader));
        }
        city.world.run_for(4 * MS)?;
    }
    city.world.run_for(3 * SECOND)?;
    for scan in scans {
        let end = city.world.ended(scan).cloned();
        if let Some(OpResult::Pairs(pairs)) = end.as_ref().and_then(|end| end.result())
            && pairs.len() != 2
        {
            return broke(
                "a scan across a split came back short, and looked whole",
                "a and x were written before, and the scan was asked of the region that had both",
                format!("it found {} pairs", pairs.len()),
            );
        }
    }
    city.fulfil(10 * SECOND)?;
    city.expect(b"a", Some(b"1"))
}

/// After a split the power goes everywhere: both halves are there, with what was in them.
fn halves_are_found_after_a_crash(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    city.settle()?;
    city.put(b"a", b"1")?;
    city.put(b"x", b"1")?;
    city.make(b"", Wish::Split(b"k".to_vec()))?;
    for round in 0..2u8 {
        for node in 1..=3 {
            city.world.fault(Fault::Crash(Who::Node(node), Cut::Power), Some(SECOND / 2))?;
        }
        city.world.run_for(2 * SECOND)?;
        city.expect(b"a", Some(&[b'1' + round]))?;
        city.expect(b"x", Some(&[b'1' + round]))?;
        city.put(b"a", &[b'2' + round])?;
        city.put(b"x", &[b'2' + round])?;
    }
    city.finish()
}

/// The power goes between any two things that stores do while regions are cut.
///
/// Hint: the data's side of a split first, with both regions and the applied index in one transaction; the new region's raft
/// state behind it. What does a restart find if the power goes between?
fn a_power_cut_at_any_point_of_a_split_loses_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3, 3).setup(), cutting)
        .clients(2, 6)
        .length(3 * SECOND)
        .sweep(run, 8)
}

/// A region between two others has grown. It is cut once, so that about half of it is in either part.
///
/// Hint: half of the weight of its heaviest column family, and a boundary that is truly inside.
fn a_region_is_cut_near_its_middle(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { split_bytes: 3_500, ..StoreConfig::new(1, 1) };
    let mut city = City::new(run, &config)?;
    city.settle()?;
    city.make(b"", Wish::Split(b"b".to_vec()))?;
    city.make(b"x", Wish::Split(b"x".to_vec()))?;
    let key = |number: u64| format!("key{number:02}").into_bytes();
    for number in 0..40 {
        city.put(&key(number), &[b'v'; 100])?;
    }
    city.world.run_for(10 * SECOND)?;
    let region = |number| city.region(&key(number)).id;
    let left = (0..40).filter(|&number| region(number) == region(0)).count();
    if !(12..=28).contains(&left) {
        return broke(
            "a region is not cut near its middle",
            "between two others, it has 40 keys of the same weight, 4000 bytes and more; the limit is 3500",
            format!("{left} of them are in the same region as the first"),
        );
    }
    city.expect(&key(0), Some(&[b'v'; 100]))?;
    city.expect(&key(39), Some(&[b'v'; 100]))?;
    city.finish()
}

/// A region ends with a key that is heavier than all others. Behind it the region ends, and a cut there would cut off nothing: it is
/// made before it.
///
/// Hint: the boundary that belongs to a raw key comes just behind it. Is it truly inside? If there is none behind the middle, the
/// last one before it will do.
fn the_end_of_a_region_is_no_place_to_cut(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { split_bytes: 3_500, ..StoreConfig::new(1, 1) };
    let mut city = City::new(run, &config)?;
    city.settle()?;
    city.make(b"k", Wish::Split(b"k".to_vec()))?;
    for key in [b"a", b"b", b"c"] {
        city.put(key, &[b'v'; 300])?;
    }
    city.put(b"k", &[b'v'; 3_000])?;
    city.world.run_for(10 * SECOND)?;
    if city.region(b"a").id == city.region(b"k").id {
        return broke(
            "a region is not cut because it ends with a heavy key",
            "three keys have 300 bytes each, and the last one, just before the region's end, has 3000; the limit is 3500",
            "the first and the last one are still in one region",
        );
    }
    city.expect(b"a", Some(&[b'v'; 300]))?;
    city.expect(b"k", Some(&[b'v'; 3_000]))?;
    city.finish()
}

/// A region that has grown beyond the limit is measured and cut near its middle, again and again.
///
/// Hint: what apply has written is a guess that is good enough to begin a scan with.
fn a_region_that_has_grown_is_cut(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { split_bytes: 2_000, ..StoreConfig::new(1, 1) };
    let mut city = City::new(run, &config)?;
    city.settle()?;
    for number in 0..60u8 {
        let key = format!("key{number:02}");
        city.put(key.as_bytes(), &[b'v'; 100])?;
    }
    city.world.run_for(5 * SECOND)?;
    let regions = city.pd().regions();
    if regions < 3 {
        return broke(
            "a region grows for ever",
            "the limit is 2000 bytes, and 60 values of 100 bytes were written",
            format!("there are {regions} regions"),
        );
    }
    for number in [0, 30, 59u8] {
        let key = format!("key{number:02}");
        city.expect(key.as_bytes(), Some(&[b'v'; 100]))?;
    }
    city.finish()
}

/// A leader is cut off with one follower of five just as it splits its region; the others elect a leader who knows nothing of
/// it, and cut elsewhere. Only one of the two splits can be committed.
fn a_split_while_the_network_is_in_two(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(5, 5))?;
    let leader = city.settle()?;
    for key in [b"a", b"m", b"x"] {
        city.put(key, b"1")?;
    }
    let with = leader % 5 + 1;
    let others: Vec<u64> = (1..=5).filter(|node| *node != leader && *node != with).collect();
    let header = city.header(b"", leader);
    let parts = Fault::Partition(vec![vec![leader, with], others]);
    let apart = city.world.fault(parts, None)?;
    let splits = [(boundary(b"c"), 900, vec![901, 902, 903, 904, 905])];
    city.begin_command(leader, &split_command(header, &splits));
    city.wish(b"", Wish::Split(b"p".to_vec()));
    city.world.run_for(4 * SECOND)?;
    city.world.heal(apart)?;
    city.fulfil(10 * SECOND)?;
    for key in [b"a", b"m", b"x"] {
        city.expect(key, Some(b"1"))?;
        city.put(key, b"2")?;
    }
    city.finish()
}
