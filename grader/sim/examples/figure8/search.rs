//! The same mistake, found by seeds: how the failure of a graded test reads.

use sim::cluster::faults::Chaos;
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::Failure;
use sim::harness::Run;
use sim::link::InProcess;
use sim::scenario::Scenario;
use sim::trace::{Event, render};

use crate::toy::{Bug, Toy, dialect, setup};

/// So many seeds are tried.
const SEEDS: u64 = 200;

fn scenario(bug: Bug) -> Scenario {
    Scenario::new(setup(5, bug), dialect)
        .clients(4, 40)
        .mix(Mix { keys: 4, ..Mix::KV })
        .chaos(Chaos { every: SECOND / 3, ..Chaos::ALL })
        .length(15 * SECOND)
}

/// What a seed finds.
fn failure(seed: u64, bug: Bug) -> Option<Failure> {
    let launch = InProcess(Toy::default);
    scenario(bug).run(&mut Run::new(seed, "demo", &launch)).err()
}

/// Shows what the simulator says of the broken leader; whether it found the mistake.
pub fn show(seed: Option<u64>) -> bool {
    println!(
        "The simulator, which knows nothing of this story, runs the same five nodes with clients, and lets seeds"
    );
    println!("decide what goes wrong: crashes, power cuts, partitions, lost and late messages.\n");
    let is_it = |failure: &Failure| failure.what().contains("figure 8");
    let mut seeds = seed.map_or(1..=SEEDS, |seed| seed..=seed);
    let found = seeds.find(|seed| failure(*seed, Bug::Figure8).is_some_and(|f| is_it(&f)));
    let Some(seed) = found else {
        println!(
            "With this seed nothing breaks: a bug that needs five steps does not show each time. Leave out --seed."
        );
        return false;
    };
    let launch = InProcess(Toy::default);
    let mut run: Run<'_, Cluster> = Run::new(seed, "demo", &launch).thorough();
    let Err(failure) = scenario(Bug::Figure8).run(&mut run) else { return false };
    println!("  broke   {}", failure.what());
    for fact in failure.facts() {
        println!("  fact    {fact}");
    }
    println!("  seed    {seed}: the same seed is the same run, to the byte");
    println!("  again   cargo grade demo --seed {seed}");
    println!("  read    docs/src/chapter-2a.md, and section 5.4.2 of the paper\n");
    let findings = run.findings();
    if let Some(plan) = &findings.shrunk {
        println!("  It was made shorter: with less than this, nothing breaks.");
        plan.lines().for_each(|line| println!("    {line}"));
        println!();
    }
    println!("  The end of its trace:");
    let told = render(findings.trace.lines()).into_iter().zip(findings.trace.lines());
    let told: Vec<String> = told.filter(|(_, line)| matters(&line.event)).map(|(t, _)| t).collect();
    for line in &told[told.len().saturating_sub(12)..] {
        println!("    {}", line.chars().take(140).collect::<String>());
    }
    match self::failure(seed, Bug::None) {
        None => println!("\nThe same seed with the line repaired: nothing breaks."),
        Some(other) => println!("\nThe same seed with the line repaired: {other}"),
    }
    true
}

fn matters(event: &Event) -> bool {
    matches!(
        event,
        Event::State { .. }
            | Event::Crash { .. }
            | Event::Open { .. }
            | Event::Fault { .. }
            | Event::Heal { .. }
            | Event::Violation { .. }
    )
}
