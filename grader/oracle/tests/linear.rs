//! The linearizability checker of `sim` beside that of `stateright`, on thousands of small random histories.
//!
//! Two checkers that share no code, one made for tests of clusters, one for model checking: where they differ,
//! one of them is wrong. Histories have open operations, compare-and-swaps and touching intervals; most are
//! wrong in some way, many are right.

use sim::history::{End, History, Op, OpResult};
use sim::linear::{BUDGET, check};
use sim::rng::Rng;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// One key, as `stateright` wants to hear of it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Key(Option<Vec<u8>>);

impl SequentialSpec for Key {
    type Op = Op;
    type Ret = OpResult;

    fn invoke(&mut self, op: &Op) -> OpResult {
        match op {
            Op::Get(_) => OpResult::Value(self.0.clone()),
            Op::Put(_, value) => {
                self.0 = Some(value.clone());
                OpResult::Written
            }
            Op::Delete(_) => {
                self.0 = None;
                OpResult::Written
            }
            Op::Append(_, suffix) => {
                self.0.get_or_insert_default().extend(suffix);
                OpResult::Written
            }
            Op::Cas { expected, new, .. } => {
                let previous = self.0.clone();
                let swapped = previous == *expected;
                if swapped {
                    self.0 = Some(new.clone());
                }
                OpResult::Swapped { swapped, previous }
            }
            Op::Scan { .. } | Op::Txn(_) => OpResult::Pairs(Vec::new()),
        }
    }
}

fn small(rng: &mut Rng) -> Vec<u8> {
    vec![b'0' + u8::try_from(rng.below(3)).unwrap_or_default()]
}

// A run of a real key with some delay, so that many histories are right; then one answer may be changed.
fn random_history(rng: &mut Rng) -> History {
    let (mut history, mut key, mut calls) = (History::default(), Key::default(), Vec::new());
    for client in 0..2 + rng.below(6) as u64 {
        let name = b"x".to_vec();
        let op = match rng.below(6) {
            0 | 1 => Op::Put(name, small(rng)),
            2 => Op::Delete(name),
            3 => Op::Append(name, small(rng)),
            4 => {
                Op::Cas { key: name, expected: rng.chance(70).then(|| small(rng)), new: small(rng) }
            }
            _ => Op::Get(name),
        };
        let moment = 10 + rng.below(40) as u64;
        let (from, to) = (moment - rng.below(10) as u64, moment + 1 + rng.below(10) as u64);
        calls.push((moment, from, to, client, op));
    }
    calls.sort_by_key(|call| call.0);
    for (_, from, to, client, op) in calls {
        let lost = rng.chance(20);
        let result = if lost && rng.chance(50) { OpResult::Written } else { key.invoke(&op) };
        let result = match result {
            OpResult::Value(_) if rng.chance(50) => {
                OpResult::Value(rng.chance(70).then(|| small(rng)))
            }
            OpResult::Swapped { .. } if rng.chance(50) => OpResult::Swapped {
                swapped: rng.chance(50),
                previous: rng.chance(70).then(|| small(rng)),
            },
            result => result,
        };
        let id = history.begin(client, 1, op, from);
        if !lost {
            history.returned(id, to, result);
        }
    }
    history
}

fn stateright_says(history: &History) -> bool {
    let mut events = Vec::new();
    for op in history.ops() {
        events.push((op.invoked, 0, op.id));
        if let End::Returned(at, _) = op.end {
            events.push((at, 1, op.id));
        }
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(Key::default());
    for (_, kind, id) in events {
        let op = &history.ops()[id];
        // A thread for each operation: an open one would block its thread for ever.
        match (&op.end, kind) {
            (End::Returned(_, result), 1) => drop(tester.on_return(id, result.clone())),
            _ => drop(tester.on_invoke(id, op.op.clone())),
        }
    }
    tester.is_consistent()
}

/// Ten thousand histories, one opinion.
#[test]
fn two_checkers_agree() {
    let (mut yes, mut no) = (0, 0);
    for seed in 0..10_000 {
        let history = random_history(&mut Rng::new(seed));
        let ours = check(&history, BUDGET).is_ok();
        assert_eq!(ours, stateright_says(&history), "seed {seed}: {:#?}", history.ops());
        *if ours { &mut yes } else { &mut no } += 1;
    }
    assert!(
        yes > 2_000 && no > 2_000,
        "{yes} linearizable, {no} not: too uniform to prove anything"
    );
    println!("{yes} linearizable, {no} not");
}
