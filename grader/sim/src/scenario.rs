//! A random test in a few lines: which stores, how many clients, what goes wrong, for how long.
//!
//! ```no_run
//! # use sim::cluster::{dialect::Dialect, faults::Chaos, plan::Mix, protocol::Cluster, setup::*};
//! # use sim::{failure::Outcome, harness::Run, scenario::Scenario};
//! # fn my_config(node: u64) -> Vec<u8> { vec![] }
//! fn writes_survive_crashes(run: &mut Run<Cluster>, my_dialect: fn() -> Box<dyn Dialect>) -> Outcome {
//!     Scenario::new(Setup::new(5, my_config), my_dialect)
//!         .clients(4, 50)
//!         .mix(Mix::KV)
//!         .chaos(Chaos::CRASHES)
//!         .length(20 * SECOND)
//!         .run(run)
//! }
//! ```
//!
//! [`Scenario::run`] draws a [`Plan`] from the seed, plays it, lets the cluster recover and asks the checkers. When
//! a rule breaks and somebody is going to read it ([`Run::shrinking`]), the plan is made shorter first.
//! [`Scenario::sweep`] is the systematic brother: the same calm run, with a power cut at one point between two
//! effects, for as many of these points as asked. [`Scenario::expect_deterministic`] runs a seed twice.

use crate::cluster::dialect::Dialect;
use crate::cluster::faults::{Chaos, Cut, Fault, TimedFault, Who};
use crate::cluster::plan::{Mix, Plan};
use crate::cluster::protocol::{Cluster, Micros};
use crate::cluster::setup::{SECOND, Setup};
use crate::failure::{Failure, Outcome};
use crate::harness::Run;
use crate::shrink::{class, minimise};
use crate::trace::first_difference;
use crate::world::World;

// To make a failing plan shorter we spend at most so many times the inputs that it took to fail, and so many runs.
const SHRINK_INPUTS: u64 = 100;
const SHRINK_RUNS: u32 = 400;

/// What a random test consists of.
#[derive(Clone)]
pub struct Scenario {
    setup: Setup,
    dialect: fn() -> Box<dyn Dialect>,
    clients: u64,
    ops: usize,
    mix: Mix,
    chaos: Chaos,
    length: Micros,
    probe: Option<fn(&mut World<'_, '_>) -> Outcome>,
}

impl Scenario {
    /// Two clients with 30 operations each on these stores, for ten virtual seconds in which nothing goes wrong.
    pub fn new(setup: Setup, dialect: fn() -> Box<dyn Dialect>) -> Self {
        Scenario {
            setup,
            dialect,
            clients: 2,
            ops: 30,
            mix: Mix::KV,
            chaos: Chaos::NONE,
            length: 10 * SECOND,
            probe: None,
        }
    }

    /// How many clients, and how many operations each.
    #[must_use]
    pub fn clients(self, clients: u64, ops: usize) -> Self {
        Scenario { clients, ops, ..self }
    }

    /// What they ask for.
    #[must_use]
    pub fn mix(self, mix: Mix) -> Self {
        Scenario { mix, ..self }
    }

    /// What goes wrong.
    #[must_use]
    pub fn chaos(self, chaos: Chaos) -> Self {
        Scenario { chaos, ..self }
    }

    /// For how long.
    #[must_use]
    pub fn length(self, length: Micros) -> Self {
        Scenario { length, ..self }
    }

    /// Something more to ask of the world once it has recovered: bounded logs, coverage of regions.
    #[must_use]
    pub fn probe(self, probe: fn(&mut World<'_, '_>) -> Outcome) -> Self {
        Scenario { probe: Some(probe), ..self }
    }

    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        Plan::draw(seed, &self.setup, self.clients, self.ops, &self.mix, &self.chaos, self.length)
    }

    /// Draws the seed's plan and plays it.
    ///
    /// # Errors
    /// The first broken rule, with facts of the shortest plan found that breaks it.
    pub fn run(&self, run: &mut Run<'_, Cluster>) -> Outcome {
        let plan = self.plan(run.seed);
        self.run_plan(run, &plan)
    }

    /// Plays a plan.
    ///
    /// # Errors
    /// As [`Scenario::run`].
    pub fn run_plan(&self, run: &mut Run<'_, Cluster>, plan: &Plan) -> Outcome {
        match self.play(run, plan) {
            (Err(failure @ (Failure::Broke { .. } | Failure::Panicked { .. })), ended)
                if run.shrinking() =>
            {
                Err(self.shorter(run, plan, failure, ended))
            }
            (outcome, _) => outcome,
        }
    }

    fn play(&self, run: &mut Run<'_, Cluster>, plan: &Plan) -> (Outcome, Micros) {
        let mut world = match World::new(run, self.setup.clone(), (self.dialect)()) {
            Ok(world) => world,
            Err(failure) => return (Err(failure), 0),
        };
        let played = world.play(plan).and_then(|()| world.finish());
        let played = played.and_then(|()| self.probe.map_or(Ok(()), |probe| probe(&mut world)));
        (played, world.now())
    }

    // The failure of the shortest plan found; its plan and trace go into the run's findings.
    fn shorter(
        &self,
        run: &mut Run<'_, Cluster>,
        plan: &Plan,
        failure: Failure,
        ended: Micros,
    ) -> Failure {
        let name = class(&failure.what());
        let same = |outcome: &Outcome| matches!(outcome, Err(f) if class(&f.what()) == name);
        let mut plan = plan.clone();
        // What had not begun cannot matter.
        plan.faults.retain(|fault| fault.at <= ended);
        let spent = run.findings().inputs;
        let most = spent + SHRINK_INPUTS * spent.max(10_000);
        let mut runs = 0;
        let mut fails = |run: &mut Run<'_, Cluster>, candidate: &Plan| {
            runs += 1;
            let go_on = runs <= SHRINK_RUNS && run.findings().inputs < most;
            go_on.then(|| same(&run.aside(false, |run| self.play(run, candidate).0).0))
        };
        // Operations first, they are many. Twice: with fewer operations fewer faults may do.
        for _ in 0..2 {
            plan.ops = minimise(plan.ops.clone(), |ops| {
                fails(run, &Plan { ops: ops.to_vec(), ..plan.clone() })
            });
            plan.faults = minimise(plan.faults.clone(), |faults| {
                fails(run, &Plan { faults: faults.to_vec(), ..plan.clone() })
            });
        }
        let ((outcome, _), found) = run.aside(true, |run| self.play(run, &plan));
        match outcome {
            Err(shown) if class(&shown.what()) == name => {
                run.shrunk(plan.text(), found);
                shown
            }
            _ => failure,
        }
    }

    /// Plays the seed's plan without its faults, and then again and again with one power cut: at each of up to
    /// `most` points between two effects of a store, spread evenly over all that were passed.
    ///
    /// # Errors
    /// As [`Scenario::run`].
    pub fn sweep(&self, run: &mut Run<'_, Cluster>, most: usize) -> Outcome {
        let calm = Plan { faults: Vec::new(), ..self.plan(run.seed) };
        let mut world = World::new(run, self.setup.clone(), (self.dialect)())?;
        world.play(&calm)?;
        let passed = world.passed();
        world.finish()?;
        drop(world);
        let points: Vec<Fault> = passed
            .iter()
            .flat_map(|(node, point, times)| {
                (1..=*times).map(|nth| Fault::CrashAt(Who::Node(*node), *point, nth, Cut::Power))
            })
            .collect();
        let most = most.min(points.len());
        for visit in 0..most {
            // Not always the same ones: the seed decides where in each stretch.
            let (from, to) = (visit * points.len() / most, (visit + 1) * points.len() / most);
            let fault = points[from + run.rng.below(to - from)].clone();
            let faults = vec![TimedFault { at: 0, lasts: SECOND, fault }];
            self.run_plan(run, &Plan { faults, ..calm.clone() })?;
        }
        Ok(())
    }

    /// Plays the seed's plan twice and compares.
    ///
    /// # Errors
    /// "your code is not deterministic", with the first line in which the traces differ; else as
    /// [`Scenario::run`].
    pub fn expect_deterministic(&self, run: &mut Run<'_, Cluster>) -> Outcome {
        let plan = self.plan(run.seed);
        let (first, one) = run.aside(true, |run| self.play(run, &plan).0);
        let (_, other) = run.aside(true, |run| self.play(run, &plan).0);
        if one.hash == other.hash {
            return first;
        }
        let place = first_difference(&one.trace, &other.trace);
        Err(Failure::broke(
            "your code is not deterministic: the same seed gave two different runs",
            "the world was the same: seed, times, faults, operations",
            place.unwrap_or_else(|| {
                "the bytes of its messages, answers or disk writes differed".into()
            }),
        ))
    }
}
