//! A failing run made shorter, for people: the fewest faults and wishes after which the same rule still breaks.
//!
//! Everything that happens to a group is drawn as it goes, so a run cannot be cut like a list. But each disturbance
//! (a fault, a proposal, a read, a change of members or of the leader) has a number, and a run in which some of them
//! are left out is again a run that is the same each time. Which ones can be left out is found by
//! [`minimise`], with a bound on the runs.

use std::collections::BTreeSet;

use sim::failure::Failure;
use sim::shrink::{class, minimise};

use super::{Plan, TICK, play};
use crate::world::World;

/// So many runs are spent on one failure.
const RUNS: u32 = 150;

/// Something that was done to the group.
#[derive(Debug, Clone)]
pub(super) struct Disturbance {
    pub number: u64,
    pub at: u64,
    pub what: String,
}

/// The failure of the shortest run that was found; its plan and trace go into the findings.
pub(super) fn shorter(world: &mut World, plan: &Plan, failure: Failure) -> Failure {
    let name = class(&failure.what());
    let same = |failed: &Failure| class(&failed.what()) == name;
    let mut runs = 0;
    let mut fails = |world: &mut World, plan: &Plan, skip: &BTreeSet<u64>| {
        runs += 1;
        let once = |world: &mut World| play(world, plan, skip);
        (runs <= RUNS).then(|| world.aside(false, once).0)
    };
    // A quiet network first, one kind of noise after the other: it makes the most difference to a reader.
    let mut plan = plan.clone();
    let none = BTreeSet::new();
    let quieter: [fn(&mut Plan); 5] = [
        |plan| plan.loss = 0,
        |plan| plan.duplicate = 0,
        |plan| plan.straggle = 0,
        |plan| plan.lazy = 0,
        |plan| plan.crash_at_persist = 0,
    ];
    for quiet in quieter {
        let mut candidate = plan.clone();
        quiet(&mut candidate);
        if let Some((Err(failed), _)) = fails(world, &candidate, &none)
            && same(&failed)
        {
            plan = candidate;
        }
    }
    let Some((_, told)) = fails(world, &plan, &none) else { return failure };
    let all: BTreeSet<u64> = told.iter().map(|one| one.number).collect();
    let without = |kept: &[u64]| -> BTreeSet<u64> {
        all.iter().copied().filter(|number| !kept.contains(number)).collect()
    };
    let kept = minimise(all.iter().copied().collect(), |kept| {
        let (outcome, _) = fails(world, &plan, &without(kept))?;
        Some(matches!(outcome, Err(failed) if same(&failed)))
    });
    let ((outcome, told), found) = world.aside(true, |world| play(world, &plan, &without(&kept)));
    match outcome {
        Err(shown) if same(&shown) => {
            world.shrunk(text(&plan, &told), found.trace);
            shown
        }
        _ => failure,
    }
}

fn text(plan: &Plan, told: &[Disturbance]) -> String {
    let noise =
        [(plan.loss, "are lost"), (plan.duplicate, "arrive twice"), (plan.straggle, "come late")];
    let noise: Vec<String> = noise
        .iter()
        .filter(|(percent, _)| *percent > 0)
        .map(|(percent, what)| format!("{percent} % {what}"))
        .collect();
    let noise = if noise.is_empty() { "none is lost".to_owned() } else { noise.join(", ") };
    let mut text = format!("{} nodes; of the messages {noise}", plan.nodes);
    // What came to nothing (nobody led, say) has no words.
    for one in told.iter().filter(|one| !one.what.is_empty()) {
        text += &format!("\ntick {}.{:02}  {}", one.at / TICK, one.at % TICK, one.what);
    }
    text
}
