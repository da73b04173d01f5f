//! Directed scenes: a few transactions, and one thing that goes wrong.

use std::cell::RefCell;
use std::rc::Rc;

use multiraft_suite::stage3b::pd::{Pd, Wish};
use sim::cluster::faults::{Cut, Fault, Point, Who};
use sim::cluster::protocol::{Cluster, NodeId, Role};
use sim::cluster::setup::{MS, SECOND, Setup, Weather};
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Bytes, Micro, Op, OpResult, number};
use sim::world::{CallEnd, World};

use super::config::{DOOR, Town};
use super::oracle::Oracle;
use crate::world::wrong;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("scenes.rs":
        a_transaction_over_two_regions_is_seen_as_a_whole,
        a_coordinator_may_die_after_any_message,
        no_update_is_lost_over_raft,
        write_skew_is_allowed_over_raft,
        a_new_leader_commits_nothing_in_the_past,
    )
}

/// The other door.
const OTHER: NodeId = DOOR + 1;

/// A world in which the keys below `m` are in one region, and the others in another.
fn two_regions<'w, 'a>(run: &'w mut Run<'a, Cluster>, town: &Town) -> Outcome<World<'w, 'a>> {
    cut_in_two(run, town.setup(), &Rc::new(RefCell::new(Pd::new())))
}

fn cut_in_two<'w, 'a>(
    run: &'w mut Run<'a, Cluster>,
    setup: Setup,
    pd: &Rc<RefCell<Pd>>,
) -> Outcome<World<'w, 'a>> {
    pd.borrow_mut().wish(b"", Wish::Split(b"m".to_vec()));
    let dialect = Box::new(Oracle::beside(pd.clone()));
    let mut world = World::new(run, setup, dialect)?;
    let led = |world: &World<'_, '_>, key: &[u8]| {
        pd.borrow().find(key).is_some_and(|(region, leader)| {
            world.view(leader.store_id, region.id).is_some_and(|view| view.role == Role::Leader)
        })
    };
    let cut =
        |world: &World<'_, '_>| pd.borrow().regions() == 2 && led(world, b"") && led(world, b"z");
    if !world.run_until(20 * SECOND, cut)? {
        return Err(Failure::broke(
            "a region is not cut in a calm world",
            "twenty seconds are enough",
            format!("the scheduler knows {} regions", pd.borrow().regions()),
        ));
    }
    Ok(world)
}

fn add(key: &[u8], amount: i64) -> Micro {
    Micro::Add(key.to_vec(), amount)
}

fn read(keys: &[&[u8]]) -> Op {
    Op::Txn(keys.iter().map(|key| Micro::Read(key.to_vec())).collect())
}

fn committed(end: &CallEnd) -> Option<&[Option<Bytes>]> {
    match end.result() {
        Some(OpResult::Txn(values)) => Some(values),
        _ => None,
    }
}

/// What keys hold, as numbers, in one moment; asked until there is an answer.
fn look(world: &mut World<'_, '_>, keys: &[&[u8]]) -> Outcome<Vec<i64>> {
    let mut last = None;
    for _ in 0..5 {
        let end = world.call(2, read(keys), OTHER)?;
        if let Some(values) = committed(&end) {
            return Ok(values.iter().map(|v| v.as_deref().map_or(0, number)).collect());
        }
        last = Some(end);
    }
    Err(wrong(
        "a read in a world that is well again",
        "an answer in five tries of seconds each",
        format!("{last:?}"),
    ))
}

/// A transfer between two regions, in a calm world: it commits, and a reader sees it as a whole.
fn a_transaction_over_two_regions_is_seen_as_a_whole(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = two_regions(run, &Town::small())?;
    for round in 1..=3 {
        let end = world.call(1, Op::Txn(vec![add(b"a", -1), add(b"z", 1)]), DOOR)?;
        if committed(&end).is_none() {
            return Err(wrong("a transfer in a calm world", "it commits", format!("{end:?}")));
        }
        let seen = look(&mut world, &[b"a", b"z"])?;
        if seen != [-round, round] {
            return Err(wrong(
                format!("{round} transfers of 1 have committed"),
                format!("a reader sees {:?}", [-round, round]),
                format!("{seen:?}"),
            ));
        }
    }
    world.finish()
}

/// The coordinator dies right after its first message, after its second, and so on up to the last: between two prewrites, between the
/// prewrites and the commit of the primary, between that and the secondary's. Whoever comes later sees the whole transfer or
/// nothing of it, and is not held up for longer than a lock lives. A transfer that was reported is there.
fn a_coordinator_may_die_after_any_message(run: &mut Run<'_, Cluster>) -> Outcome {
    let offset = run.rng.below(2) as u64;
    for nth in (1 + offset..=14).step_by(2) {
        let mut world = two_regions(run, &Town::small())?;
        let crash = Fault::CrashAt(Who::Node(DOOR), Point::AfterSend, nth, Cut::Kill);
        world.fault(crash, Some(SECOND))?;
        let end = world.call(1, Op::Txn(vec![add(b"a", -1), add(b"z", 1)]), DOOR)?;
        let seen = look(&mut world, &[b"a", b"z"])?;
        let whole = seen == [-1, 1] || (seen == [0, 0] && committed(&end).is_none());
        if !whole || (end.never_happened() && seen != [0, 0]) {
            return Err(Failure::broke(
                "half a transaction, or one that was reported wrongly",
                format!(
                    "the coordinator died after its message number {nth}; its user heard {end:?}"
                ),
                format!("a reader sees a={} and z={}", seen[0], seen[1]),
            ));
        }
        world.finish()?;
    }
    Ok(())
}

/// Two clients add 1 to the same number again and again, at the same time, through two doors. What commits is counted: the number is
/// the count. If it is less, one of two that read the same number has written over the other.
fn no_update_is_lost_over_raft(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = two_regions(run, &Town::small())?;
    let mut done = 0;
    for _ in 0..6 {
        let calls = [DOOR, OTHER].map(|door| world.begin(door, Op::Txn(vec![add(b"a", 1)]), door));
        let over = |world: &World<'_, '_>| calls.iter().all(|call| world.ended(*call).is_some());
        world.run_until(10 * SECOND, over)?;
        for call in calls {
            done += i64::from(world.ended(call).is_some_and(|end| committed(end).is_some()));
        }
    }
    let seen = look(&mut world, &[b"a"])?[0];
    if seen != done || done == 0 {
        return Err(Failure::broke(
            "an update is lost",
            format!("{done} transactions added 1 to 0, and were told that they have committed"),
            format!("the number is {seen}"),
        ));
    }
    world.finish()
}

/// Two transactions each read two numbers and write one of them, not the same. Neither sees the other's write, and both commit:
/// each has its snapshot, and they have no key in common that both write. In no order one after the other would both have seen
/// nothing. Snapshot isolation allows it; who needs more writes what it has read.
fn write_skew_is_allowed_over_raft(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = two_regions(run, &Town::small())?;
    let mut skewed = false;
    for round in 0..6_u8 {
        let keys: [Bytes; 2] = [vec![b'a', round], vec![b'z', round]];
        let both = |mine: &Bytes| {
            let reads = keys.iter().cloned().map(Micro::Read);
            Op::Txn(reads.chain([add(mine, 1)]).collect())
        };
        let calls = [(DOOR, &keys[0]), (OTHER, &keys[1])];
        let calls = calls.map(|(door, mine)| world.begin(door, both(mine), door));
        let over = |world: &World<'_, '_>| calls.iter().all(|call| world.ended(*call).is_some());
        world.run_until(10 * SECOND, over)?;
        let mut blind = 0;
        for call in calls {
            let end = world.ended(call).cloned();
            match end.as_ref().and_then(committed) {
                Some(values) => blind += u32::from(values[..2] == [None, None]),
                None => {
                    return Err(wrong(
                        "two transactions that write different keys",
                        "both commit",
                        format!("{end:?}"),
                    ));
                }
            }
        }
        skewed |= blind == 2;
    }
    if skewed {
        return world.finish();
    }
    Err(wrong(
        "six pairs of transactions that begin at one moment, each reading what the other writes",
        "some pair in which neither saw the other: write skew",
        "one of the two always waits for the other, as if keys that are read were locked",
    ))
}

/// A reader has seen that `a` is empty, at its own time, on the leader of that moment. Then the region has another leader, and a
/// transaction that is older than the reader appends to `a` and `b` in one phase: its timestamp is chosen by the new leader, which
/// does not know of the reader. It must lie above the reader's all the same, or the reader sees the new `b` beside the old `a`.
///
/// Hint: a store that begins to lead asks the oracle for a timestamp first, and chooses above that.
fn a_new_leader_commits_nothing_in_the_past(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut town = Town::small();
    town.door.one_pc = true;
    let mut setup = town.setup();
    // Messages take long, so that leaders change in the middle of transactions.
    setup.weather = Weather { latency: (5 * MS, 15 * MS), ..Weather::CALM };
    let pd = Rc::new(RefCell::new(Pd::new()));
    let mut world = cut_in_two(run, setup, &pd)?;
    let leads = |key: &[u8]| pd.borrow().find(key).map_or(0, |(_, leader)| leader.store_id);
    for round in 0..4_u64 {
        let append = |key: &[u8], who: &str| {
            Micro::Append(key.to_vec(), format!("{who}{round}").into_bytes())
        };
        // Steps in the other region take time, one key after the other, and write nothing there: all writes are in the first.
        let slow = |steps: u8| (0..steps).map(|step| Micro::Read(vec![b'z', step]));
        let writer = slow(25).chain([append(b"a", "w"), append(b"b", "w")]).collect();
        let first = [Micro::Read(b"a".to_vec())].into_iter();
        let last = [Micro::Read(b"b".to_vec()), append(b"c", "r")];
        let reader = first.chain(slow(50)).chain(last).collect();
        let older = world.begin(1, Op::Txn(writer), DOOR);
        world.run_for(20 * MS)?;
        let younger = world.begin(2, Op::Txn(reader), OTHER);
        world.run_for(200 * MS)?;
        // Nor does the next leader serve the reader's other steps: it knows nothing of its timestamp.
        let (now, other) = (leads(b""), leads(b"z"));
        let next = (1..=3).find(|store| *store != now && *store != other).unwrap_or(1);
        pd.borrow_mut().wish(b"", Wish::Lead(next));
        let over = |world: &World<'_, '_>| {
            world.ended(older).is_some()
                && world.ended(younger).is_some()
                && pd.borrow().is_content()
        };
        world.run_until(10 * SECOND, over)?;
    }
    world.finish()
}
