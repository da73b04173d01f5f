//! How a suite drives a world by hand.

use sim::cluster::dialect::Answer;
use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::setup::{MS, SECOND};
use sim::failure::Outcome;
use sim::harness::Run;
use sim::history::{Op, OpResult};
use sim::link::InProcess;
use sim::world::{CallEnd, World};

use crate::toy::{Bug, Toy, dialect, setup};

fn put(value: &str) -> Op {
    Op::Put(b"x".to_vec(), value.into())
}

fn deposed_leader(run: &mut Run<'_, sim::cluster::protocol::Cluster>) -> Outcome {
    let mut world = World::new(run, setup(3, Bug::None), dialect())?;
    let old = world.await_leader(5 * SECOND)?;
    assert_eq!(world.call(1, put("1"), old)?.result(), Some(&OpResult::Written));

    // Cut off, it takes a write that it can never commit.
    let cut = world.fault(Fault::Isolate(Who::Node(old)), None)?;
    let lost = world.begin(1, put("2"), old);
    assert!(
        world
            .run_until(10 * SECOND, |world| world.leader(1).is_some_and(|leader| leader != old))?
    );
    let new = world.leader(1).unwrap();
    assert!(world.run_until(5 * SECOND, |w| w.view(new, 1).is_some_and(|v| v.commit == v.last))?);
    assert_eq!(world.call(2, put("3"), new)?.result(), Some(&OpResult::Written));
    let read = world.call(3, Op::Get(b"x".to_vec()), new)?;
    assert_eq!(read.result(), Some(&OpResult::Value(Some(b"3".to_vec()))));

    world.heal(cut)?;
    world.fault(Fault::Crash(Who::Node(new), Cut::Power), Some(200 * MS))?;
    assert!(!world.is_up(new));
    world.run_for(SECOND)?;
    assert!(world.is_up(new));
    assert!(
        matches!(world.ended(lost), Some(CallEnd::TimedOut | CallEnd::Status(_))),
        "{:?}",
        world.ended(lost)
    );
    world.finish()
}

pub fn a_test_drives_a_world_by_hand() {
    for seed in 0..10 {
        let launch = InProcess(Toy::default);
        let mut run = Run::new(seed, "directed", &launch);
        deposed_leader(&mut run).unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    }
}

pub fn a_definite_answer_leaves_no_trace_in_the_history() {
    let launch = InProcess(Toy::default);
    let mut run = Run::new(3, "definite", &launch);
    let mut world = World::new(&mut run, setup(3, Bug::None), dialect()).unwrap();
    let leader = world.await_leader(5 * SECOND).unwrap();
    let follows =
        |n: &u64| *n != leader && world.view(*n, 1).is_some_and(|view| view.leader == leader);
    let follower = (1..=3).find(follows).unwrap();
    let refused = world.call(1, put("1"), follower).unwrap();
    assert_eq!(refused, CallEnd::Answered(Answer::NotLeader(Some(leader))));
    assert!(refused.never_happened());
    let read = world.call(1, Op::Get(b"x".to_vec()), leader).unwrap();
    assert_eq!(read.result(), Some(&OpResult::Value(None)));
    world.finish().unwrap_or_else(|failure| panic!("{failure}"));
}
