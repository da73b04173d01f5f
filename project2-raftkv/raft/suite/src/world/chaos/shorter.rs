//! A failing run made shorter, for people: the fewest faults and wishes after which the same rule still breaks.
//!
//! Everything that happens to a group is drawn as it goes, so a run cannot be cut like a list. But each disturbance
//! (a fault, a proposal, a read, a change of members or of the leader) has a number, and a run in which some of them
//! are left out is again a run that is the same each time. Which ones can be left out is found by
//! [`minimise`], with a bound on the runs.

use std::collections::BTreeSet;
use std::fmt::Write;

use sim::failure::{Failure, Outcome};
use sim::shrink::{class, minimise};

use super::{Chaos, Coverage, Plan, TICK};
use crate::world::{Lab, World};

/// So many runs are spent on one failure.
const RUNS: u32 = 80;

/// Something that was done to the group.
#[derive(Debug, Clone)]
pub(super) struct Disturbance {
    pub number: u64,
    pub at: u64,
    pub what: String,
}

/// How a run went that left some disturbances out.
struct Run {
    outcome: Outcome<Coverage>,
    told: Vec<Disturbance>,
    ended: u64,
}

/// Plays a plan without the disturbances of these numbers, and not beyond `stop`.
fn play(world: &mut World, plan: &Plan, skip: &BTreeSet<u64>, stop: u64) -> Run {
    let lab = Lab::new(world);
    match Chaos::new(&lab, plan.clone()) {
        Ok(mut chaos) => {
            chaos.skip.clone_from(skip);
            chaos.stop = stop;
            Run { outcome: chaos.run(), told: chaos.told, ended: chaos.now }
        }
        Err(failure) => Run { outcome: Err(failure), told: Vec::new(), ended: 0 },
    }
}

/// The failure of the shortest run that was found; its plan and trace go into the findings. `ended` is when the rule
/// was broken.
pub(super) fn shorter(world: &mut World, plan: &Plan, failure: Failure, ended: u64) -> Failure {
    let name = class(&failure.what());
    let same = |failed: &Failure| class(&failed.what()) == name;
    let (mut runs, mut ended) = (0, ended);
    // Whether the rule is still broken, and no later. None when enough was tried.
    let mut fails = |world: &mut World, plan: &Plan, skip: &BTreeSet<u64>| {
        runs += 1;
        if runs > RUNS {
            return None;
        }
        let (run, _) = world.aside(false, |world| play(world, plan, skip, ended));
        let broken = matches!(&run.outcome, Err(failed) if same(failed));
        if broken {
            ended = run.ended;
        }
        Some((broken, run.told))
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
        if matches!(fails(world, &candidate, &none), Some((true, _))) {
            plan = candidate;
        }
    }
    let Some((true, told)) = fails(world, &plan, &none) else { return failure };
    let all: BTreeSet<u64> = told.iter().map(|one| one.number).collect();
    let without = |kept: &[u64]| -> BTreeSet<u64> {
        all.iter().copied().filter(|number| !kept.contains(number)).collect()
    };
    let kept = minimise(all.iter().copied().collect(), |kept| {
        fails(world, &plan, &without(kept)).map(|(broken, _)| broken)
    });
    let (run, found) = world.aside(true, |world| play(world, &plan, &without(&kept), ended));
    match run.outcome {
        Err(shown) if same(&shown) => {
            world.shrunk(text(&plan, &run.told), found);
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
        let (tick, part) = (one.at / TICK, one.at % TICK);
        // A String takes whatever is written to it.
        let _ = write!(text, "\ntick {tick}.{part:02}  {}", one.what);
    }
    text
}
