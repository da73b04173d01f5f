//! What leaders tell the scheduler of their members: who waits for a snapshot, who is away.

use sim::cluster::faults::{Fault, Who};
use sim::cluster::protocol::{Cluster, NodeId};
use sim::cluster::setup::SECOND;
use sim::failure::Outcome;
use sim::harness::{Run, Test};

use super::city::{City, broke};
use super::config::StoreConfig;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("report.rs":
        who_waits_for_a_snapshot_is_pending,
        who_was_not_heard_for_long_is_down,
    )
}

/// What the last report of the first region says must be this.
fn expect_pending(city: &City<'_, '_>, wanted: &[NodeId], why: &str) -> Outcome {
    let reported = city.pd().pending(b"");
    if reported == wanted {
        return Ok(());
    }
    broke(
        "a leader's report names the wrong members as pending",
        format!("{why}: the pending ones are those on stores {wanted:?}"),
        format!("the report names those on stores {reported:?}"),
    )
}

/// A leader tells which members wait for a snapshot: those that lack entries which its log has no more. Who is a few entries
/// behind does not wait for one. Under load everybody is a few entries behind, always, and a scheduler that took them for
/// pending would move nothing and hand nothing over any more.
///
/// Hint: compare a member's match index with where the log begins, not with where it ends.
fn who_waits_for_a_snapshot_is_pending(run: &mut Run<'_, Cluster>) -> Outcome {
    let config = StoreConfig { gc_entries: 20, ..StoreConfig::new(3, 3) };
    let mut city = City::new(run, &config)?;
    let leader = city.settle()?;
    city.put(b"a", b"0")?;
    city.world.run_for(SECOND)?;
    expect_pending(&city, &[], "all members have everything")?;
    let late = leader % 3 + 1;
    let away = city.world.fault(Fault::Isolate(Who::Node(late)), None)?;
    for round in 0..5u8 {
        city.put(b"a", &[round])?;
    }
    city.world.run_for(SECOND)?;
    expect_pending(&city, &[], "one member lacks five entries, which the log still has")?;
    for round in 0..60u8 {
        city.put(b"a", &[round])?;
    }
    city.world.run_for(3 * SECOND)?;
    expect_pending(&city, &[late], "one member lacks entries that were cut off the log")?;
    city.world.heal(away)?;
    city.world.run_for(8 * SECOND)?;
    expect_pending(&city, &[], "it is back, and has had its snapshot")?;
    city.finish()
}

/// A leader tells which members it has not heard for ten seconds, and for how long. The scheduler may know nothing of a store
/// that cannot be reached by this leader alone.
///
/// Hint: `Replica::heard`. A member of which nothing was ever heard counts from when this leader began.
fn who_was_not_heard_for_long_is_down(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut city = City::new(run, &StoreConfig::new(3, 3))?;
    let leader = city.settle()?;
    city.put(b"a", b"0")?;
    let late = leader % 3 + 1;
    let away = city.world.fault(Fault::Isolate(Who::Node(late)), None)?;
    for (after, wanted) in [(8, false), (13, true)] {
        city.world.run_for((if wanted { 5 } else { 8 }) * SECOND)?;
        let down = city.pd().down(b"");
        let right = if wanted {
            matches!(down[..], [(store, seconds)] if store == late && (10..=after).contains(&seconds))
        } else {
            down.is_empty()
        };
        if !right {
            return broke(
                "a leader's report is wrong about who is down",
                format!(
                    "n{late} has been cut off for {after} s; ten seconds of silence make it down"
                ),
                format!("down by store, with seconds: {down:?}"),
            );
        }
    }
    city.world.heal(away)?;
    city.world.run_for(5 * SECOND)?;
    let down = city.pd().down(b"");
    if !down.is_empty() {
        return broke(
            "a leader's report is wrong about who is down",
            format!("n{late} has been back for five seconds"),
            format!("down by store, with seconds: {down:?}"),
        );
    }
    city.put(b"a", b"1")?;
    city.finish()
}
