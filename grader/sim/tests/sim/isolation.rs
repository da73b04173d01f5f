//! The checker of snapshot isolation: every anomaly is found and named, and what is allowed passes.

use std::collections::{BTreeMap, BTreeSet};

use sim::failure::Failure;
use sim::history::{History, Micro, Op, OpResult};
use sim::isolation::{BUDGET, check};
use sim::rng::Rng;

/// Keys and what they hold.
type Data = BTreeMap<Vec<u8>, Vec<u8>>;

type Step = (&'static str, &'static str, &'static str);

/// A transaction: who, from when to when, and its steps: key, element that it appends (empty: it only reads), and what the list
/// is after that.
struct T(u64, (u64, u64), &'static [Step]);

fn steps(steps: &[Step]) -> Vec<Micro> {
    let step = |(key, element, _): &Step| match *element {
        "" => Micro::Read(key.as_bytes().to_vec()),
        element => Micro::Append(key.as_bytes().to_vec(), element.as_bytes().to_vec()),
    };
    steps.iter().map(step).collect()
}

fn add(history: &mut History, T(client, (from, to), list): &T) {
    let id = history.begin(*client, 1, Op::Txn(steps(list)), from * 1_000);
    let value = |(.., value): &Step| (!value.is_empty()).then(|| value.as_bytes().to_vec());
    history.returned(id, to * 1_000, OpResult::Txn(list.iter().map(value).collect()));
}

fn history(all: &[T]) -> History {
    let mut history = History::default();
    for txn in all {
        add(&mut history, txn);
    }
    history
}

fn broken(history: &History, name: &str, facts: &[&str]) {
    let Err(violation) = check(history, BUDGET) else { panic!("{name}: passed") };
    let text = violation.failure.to_string();
    assert!(text.contains(name), "{name}: {text}");
    for fact in facts {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

pub fn serial_transactions_pass() {
    let all = [
        T(1, (0, 10), &[("x", "1", "1"), ("y", "2", "2")]),
        T(2, (20, 30), &[("x", "", "1"), ("x", "3", "1,3")]),
        T(1, (40, 50), &[("x", "", "1,3"), ("y", "", "2"), ("z", "", "")]),
    ];
    check(&history(&all), BUDGET).unwrap();
}

pub fn write_skew_passes() {
    let all = [
        T(1, (0, 10), &[("x", "", ""), ("y", "1", "1")]),
        T(2, (0, 10), &[("y", "", ""), ("x", "2", "2")]),
        T(3, (20, 30), &[("x", "", "2"), ("y", "", "1")]),
    ];
    check(&history(&all), BUDGET).unwrap();
}

pub fn numbers_are_no_lists() {
    let mut history = history(&[T(1, (20, 30), &[("n", "", "7"), ("x", "", "")])]);
    let op = Op::Txn(vec![Micro::Add(b"n".to_vec(), 7)]);
    let id = history.begin(2, 1, op, 0);
    history.returned(id, 10_000, OpResult::Txn(vec![Some(b"7".to_vec())]));
    check(&history, BUDGET).unwrap();
}

pub fn a_lost_update() {
    // Both read nothing, both were told yes; the end has one of them.
    let mut all = vec![
        T(1, (0, 10), &[("x", "1", "1")]),
        T(2, (0, 10), &[("x", "2", "2")]),
        T(3, (20, 30), &[("x", "", "2")]),
    ];
    broken(&history(&all), "a lost update", &["T0 did not see 2 in x"]);
    // Also if nobody has looked since.
    all.pop();
    broken(&history(&all), "lost update", &["T0", "T1"]);
    // And if the second went on from where the first had not been seen.
    let all = [
        T(1, (0, 10), &[("x", "1", "1"), ("x", "", "1")]),
        T(2, (0, 10), &[("x", "", ""), ("x", "2", "2")]),
        T(3, (20, 30), &[("x", "", "1,2")]),
    ];
    broken(
        &history(&all),
        "a lost update (G-single)",
        &["T1 did not see 1 in x, which T0 appended"],
    );
}

pub fn a_torn_snapshot() {
    let all = [
        T(1, (0, 10), &[("x", "1", "1"), ("y", "2", "2")]),
        T(2, (0, 10), &[("x", "", ""), ("y", "", "2")]),
    ];
    broken(
        &history(&all),
        "a torn snapshot (read skew, G-single)",
        &["T1 saw 2 in y", "T1 did not see 1 in x"],
    );
}

pub fn a_long_fork() {
    let all = [
        T(1, (0, 90), &[("x", "1", "1")]),
        T(2, (0, 90), &[("y", "2", "2")]),
        T(3, (0, 90), &[("x", "", "1"), ("y", "", "")]),
        T(4, (0, 90), &[("x", "", ""), ("y", "", "2")]),
    ];
    broken(&history(&all), "long fork", &["T2 did not see 2 in y", "T3 did not see 1 in x"]);
}

pub fn a_stale_read() {
    let all = [T(1, (0, 10), &[("x", "1", "1")]), T(2, (20, 30), &[("x", "", "")])];
    broken(&history(&all), "a stale read", &["before T1 was asked for"]);
    // While it was under way, it need not be seen.
    let all = [T(1, (0, 10), &[("x", "1", "1")]), T(2, (5, 30), &[("x", "", "")])];
    check(&history(&all), BUDGET).unwrap();
}

pub fn writes_and_information_in_a_circle() {
    let all = [
        T(1, (0, 90), &[("x", "1", "1"), ("y", "1", "2,1")]),
        T(2, (0, 90), &[("x", "2", "1,2"), ("y", "2", "2")]),
        T(3, (91, 99), &[("x", "", "1,2"), ("y", "", "2,1")]),
    ];
    broken(&history(&all), "in a circle", &["T0"]);
    let all = [
        T(1, (0, 90), &[("x", "1", "1"), ("y", "", "2")]),
        T(2, (0, 90), &[("y", "2", "2"), ("x", "", "1")]),
    ];
    broken(&history(&all), "information in a circle (G1c)", &["T0 saw 2", "T1 saw 1"]);
}

pub fn an_aborted_read() {
    let mut history = history(&[T(2, (20, 30), &[("x", "", "1")])]);
    let op = Op::Txn(steps(&[("x", "1", "")]));
    let aborted = history.begin(1, 1, op.clone(), 0);
    history.never_happened(aborted, 10_000, "conflict");
    broken(&history, "aborted read, G1a", &["T1", "told that it never happens (conflict)"]);
    // A second attempt of the same may have happened.
    history.begin(1, 1, op, 12_000);
    check(&history, BUDGET).unwrap();
}

pub fn the_middle_of_a_transaction() {
    let writer = T(1, (0, 10), &[("x", "1", "1"), ("x", "2", "1,2")]);
    broken(
        &history(&[writer, T(2, (0, 30), &[("x", "", "1")])]),
        "intermediate read, G1b",
        &["T0"],
    );
    let writer = T(1, (0, 10), &[("x", "1", "1"), ("x", "2", "1,2")]);
    let other = T(3, (0, 30), &[("x", "3", "1,3")]);
    broken(&history(&[writer, other, T(2, (0, 30), &[("x", "", "1,3,2")])]), "G1b", &["T0"]);
}

pub fn a_transaction_that_contradicts_itself() {
    let own = [T(1, (0, 10), &[("x", "1", "1"), ("x", "", "")])];
    broken(&history(&own), "(internal)", &["T0"]);
    let two = [T(1, (0, 10), &[("x", "9", "9")]), T(1, (0, 10), &[("x", "", ""), ("x", "", "9")])];
    broken(&history(&two), "(internal)", &["T1"]);
}

pub fn values_from_nowhere_and_twice() {
    broken(
        &history(&[T(1, (0, 10), &[("x", "", "7")])]),
        "from nowhere",
        &["nobody ever appended 7"],
    );
    let twice = [T(1, (0, 10), &[("x", "7", "7")]), T(2, (20, 30), &[("x", "", "7,7")])];
    broken(&history(&twice), "took effect twice", &["x=[7, 7]"]);
    let orders = [
        T(1, (0, 90), &[("x", "1", "1")]),
        T(2, (0, 90), &[("x", "2", "1,2")]),
        T(3, (0, 90), &[("x", "", "1,2")]),
        T(4, (0, 90), &[("x", "", "2,1")]),
    ];
    broken(&history(&orders), "two orders", &["T2", "T3"]);
}

pub fn an_open_transaction_may_have_happened_or_not() {
    let op = || Op::Txn(steps(&[("x", "1", ""), ("y", "2", "")]));
    for seen in [&[("x", "", "1"), ("y", "", "2")], &[("x", "", ""), ("y", "", "")]] {
        let mut history = History::default();
        history.begin(1, 1, op(), 0);
        add(&mut history, &T(2, (5, 9), seen));
        check(&history, BUDGET).unwrap();
    }
    // But not by halves.
    let mut history = History::default();
    history.begin(1, 1, op(), 0);
    add(&mut history, &T(2, (5, 9), &[("x", "", "1"), ("y", "", "")]));
    broken(&history, "a torn snapshot", &["never answered"]);
}

pub fn a_small_budget_says_unknown() {
    // Two that were never answered have happened, as others have seen, and their appends to k stand in no order.
    let mut history = History::default();
    history.begin(1, 1, Op::Txn(steps(&[("x", "1", ""), ("k", "2", "")])), 0);
    history.begin(2, 1, Op::Txn(steps(&[("y", "3", ""), ("k", "4", "")])), 0);
    add(&mut history, &T(3, (5, 9), &[("x", "", "1"), ("y", "", "3")]));
    check(&history, BUDGET).unwrap();
    let verdict = check(&history, 0).unwrap_err().failure;
    assert!(matches!(verdict, Failure::Undecided { .. }), "{verdict}");
}

/// Against the definition: small random histories, some of a correct database and some changed, and every order of the moments
/// tried.
pub fn agrees_with_brute_force() {
    let (mut passed, mut failed) = (0, 0);
    for seed in 0..1_500 {
        let mut rng = Rng::new(seed);
        let history = random(&mut rng);
        let right = explained(&history);
        match check(&history, BUDGET) {
            Ok(()) => {
                assert!(right, "seed {seed}: passed, but no order explains {history:?}");
                passed += 1;
            }
            Err(violation) => {
                let text = violation.failure.to_string();
                assert!(!right, "seed {seed}: {text}, but there is an order: {history:?}");
                failed += 1;
            }
        }
    }
    assert!(passed > 200 && failed > 200, "{passed} passed, {failed} failed: the mix is too tame");
}

/// Three transactions of two steps on two keys, in a random order of moments; then, often, one answer is changed.
fn random(rng: &mut Rng) -> History {
    let mut ops: Vec<Vec<Micro>> = Vec::new();
    for n in 0..3_u8 {
        let step = |at: u8, rng: &mut Rng| {
            let key = vec![b'x' + u8::try_from(rng.below(2)).unwrap()];
            if rng.chance(45) {
                Micro::Read(key)
            } else {
                Micro::Append(key, vec![b'0' + 2 * n + at])
            }
        };
        ops.push((0..2).map(|at| step(at, rng)).collect());
    }
    // Start and commit of each, shuffled; the second meeting of one is its commit.
    let mut moments: Vec<usize> = vec![0, 0, 1, 1, 2, 2];
    for at in (1..moments.len()).rev() {
        moments.swap(at, rng.below(at + 1));
    }
    let mut database = Data::new();
    let mut snapshots: [Option<Data>; 3] = [None, None, None];
    let mut results: Vec<Vec<Option<Vec<u8>>>> = vec![Vec::new(); 3];
    for txn in moments {
        let Some(snapshot) = snapshots[txn].take() else {
            snapshots[txn] = Some(database.clone());
            continue;
        };
        let mut mine = snapshot;
        for step in &ops[txn] {
            let found = mine.get(step.key()).cloned();
            let new = step.write(found.as_deref());
            if let Some(value) = &new {
                mine.insert(step.key().to_vec(), value.clone());
                // No check for conflicts: half of these databases lose updates.
                database.insert(step.key().to_vec(), value.clone());
            }
            results[txn].push(new.or(found));
        }
    }
    if rng.chance(30) {
        let (txn, step) = (rng.below(3), rng.below(2));
        let other = results[rng.below(3)][rng.below(2)].clone();
        if matches!(ops[txn][step], Micro::Read(_)) {
            results[txn][step] = other;
        }
    }
    let mut history = History::default();
    for (txn, steps) in ops.into_iter().enumerate() {
        let id = history.begin(txn as u64, 1, Op::Txn(steps), 0);
        history.returned(id, 100, OpResult::Txn(std::mem::take(&mut results[txn])));
    }
    history
}

/// Whether some order of starts and commits gives these answers, without two writers of a key that overlap.
fn explained(history: &History) -> bool {
    let mut places = vec![0, 0, 1, 1, 2, 2];
    permutations(&mut places, 0, &mut |order| follows(history, order))
}

fn permutations(
    items: &mut Vec<usize>,
    at: usize,
    good: &mut impl FnMut(&[usize]) -> bool,
) -> bool {
    if at == items.len() {
        return good(items);
    }
    let mut tried = Vec::new();
    for other in at..items.len() {
        if tried.contains(&items[other]) {
            continue;
        }
        tried.push(items[other]);
        items.swap(at, other);
        let found = permutations(items, at + 1, good);
        items.swap(at, other);
        if found {
            return true;
        }
    }
    false
}

fn follows(history: &History, order: &[usize]) -> bool {
    let mut database = Data::new();
    let mut open: BTreeMap<usize, (Data, BTreeSet<Vec<u8>>)> = BTreeMap::new();
    for txn in order {
        let Some((mut mine, others)) = open.remove(txn) else {
            open.insert(*txn, (database.clone(), BTreeSet::new()));
            continue;
        };
        let op = &history.ops()[*txn];
        let (Op::Txn(steps), sim::history::End::Returned(_, OpResult::Txn(results))) =
            (&op.op, &op.end)
        else {
            return false;
        };
        for (step, result) in steps.iter().zip(results) {
            let found = mine.get(step.key()).cloned();
            let new = step.write(found.as_deref());
            if let Some(value) = &new {
                if others.contains(step.key()) {
                    return false; // somebody who overlaps has written it
                }
                mine.insert(step.key().to_vec(), value.clone());
            }
            if new.or(found) != *result {
                return false;
            }
        }
        for step in steps.iter().filter(|step| !matches!(step, Micro::Read(_))) {
            database.insert(step.key().to_vec(), mine[step.key()].clone());
            for (_, written) in open.values_mut() {
                written.insert(step.key().to_vec());
            }
        }
    }
    true
}
