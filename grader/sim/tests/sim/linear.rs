//! The checker of histories: what it accepts, what it refuses and how it says so, and brute force beside it.

use sim::failure::Failure;
use sim::history::{History, Op, OpResult};
use sim::linear::{BUDGET, check, check_whole};
use sim::rng::Rng;

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn put(value: &str) -> Op {
    Op::Put(bytes("x"), bytes(value))
}

fn get() -> Op {
    Op::Get(bytes("x"))
}

fn value(value: &str) -> OpResult {
    OpResult::Value(Some(bytes(value)))
}

#[derive(Default)]
struct Told(History);

impl Told {
    // Times in ms.
    fn op(&mut self, client: u64, op: Op, from: u64, to: u64, result: OpResult) -> &mut Self {
        let id = self.0.begin(client, client, op, from * 1000);
        self.0.returned(id, to * 1000, result);
        self
    }

    fn open(&mut self, client: u64, op: Op, from: u64) -> &mut Self {
        self.0.begin(client, client, op, from * 1000);
        self
    }

    fn refused(&mut self, client: u64, op: Op, from: u64, to: u64) -> &mut Self {
        let id = self.0.begin(client, client, op, from * 1000);
        self.0.never_happened(id, to * 1000, "stale command");
        self
    }

    fn ok(&self) {
        check(&self.0, BUDGET).unwrap_or_else(|v| panic!("{}", v.failure));
    }

    fn broken(&self) -> String {
        check(&self.0, BUDGET).expect_err("no order explains this").failure.to_string()
    }
}

pub fn the_newer_value_is_named() {
    let mut told = Told::default();
    told.op(1, put("1"), 10, 20, OpResult::Written)
        .op(1, put("2"), 690, 700, OpResult::Written)
        .op(2, get(), 701, 705, value("2"))
        .op(3, get(), 800, 812, value("1"))
        .op(1, put("3"), 900, 910, OpResult::Written);
    let text = told.broken();
    assert!(text.contains("client 3 read x=1 from n3 at t=812ms"), "{text}");
    assert!(text.contains("x=2 was acked to client 1 by n1 at t=700ms"), "{text}");
    // The newer write was never acked, but seen.
    let mut told = Told::default();
    told.op(1, put("1"), 10, 20, OpResult::Written)
        .open(1, put("2"), 690)
        .op(2, get(), 701, 705, value("2"))
        .op(3, get(), 800, 812, value("1"));
    let text = told.broken();
    assert!(text.contains("client 2 read x=2 from n2 at t=705ms"), "{text}");
    let mut told = Told::default();
    told.op(1, put("1"), 10, 20, OpResult::Written).op(2, get(), 30, 40, OpResult::Value(None));
    let text = told.broken();
    assert!(text.contains("x not found") && text.contains("x=1 was acked"), "{text}");
}

pub fn a_value_that_nobody_wrote() {
    let text = Told::default().op(3, get(), 800, 812, value("7")).broken();
    assert!(text.contains("nobody ever wrote x=7"), "{text}");
}

pub fn a_refused_write_that_happened() {
    let mut told = Told::default();
    told.refused(1, put("7"), 10, 20).op(3, get(), 800, 812, value("7"));
    let text = told.broken();
    assert!(text.contains("put x=7") && text.contains("a refusal is a promise"), "{text}");
}

pub fn an_open_write_may_come_late_or_never() {
    let mut told = Told::default();
    told.op(1, put("1"), 10, 20, OpResult::Written)
        .open(2, put("2"), 30)
        .op(3, get(), 40, 50, value("1"))
        .op(3, get(), 60, 70, value("2"))
        .op(3, get(), 80, 90, value("2"));
    told.ok();
    told.op(3, get(), 100, 110, value("1"));
    told.broken();
    let mut never = Told::default();
    never.op(1, put("1"), 10, 20, OpResult::Written).open(2, put("2"), 30).op(
        3,
        get(),
        40,
        50,
        value("1"),
    );
    never.ok();
    // Not before it was asked for.
    let mut early = Told::default();
    early.op(3, get(), 10, 20, value("2")).open(2, put("2"), 30);
    early.broken();
}

pub fn compare_and_swap() {
    let cas = |from: &str, to: &str| Op::Cas {
        key: bytes("x"),
        expected: Some(bytes(from)),
        new: bytes(to),
    };
    let swapped =
        |swapped, previous: &str| OpResult::Swapped { swapped, previous: Some(bytes(previous)) };
    let mut told = Told::default();
    told.op(1, put("1"), 10, 20, OpResult::Written)
        .op(1, cas("1", "2"), 30, 60, swapped(true, "1"))
        .op(2, cas("1", "3"), 30, 60, swapped(false, "2"))
        .op(3, get(), 70, 80, value("2"));
    told.ok();
    let mut both = Told::default();
    both.op(1, put("1"), 10, 20, OpResult::Written)
        .op(1, cas("1", "2"), 30, 60, swapped(true, "1"))
        .op(2, cas("1", "3"), 30, 60, swapped(true, "1"));
    both.broken();
    // An open one may have swapped.
    let mut open = Told::default();
    open.op(1, put("1"), 10, 20, OpResult::Written).open(2, cas("1", "2"), 30).op(
        3,
        get(),
        40,
        50,
        value("2"),
    );
    open.ok();
}

pub fn appends() {
    let append = |v: &str| Op::Append(bytes("x"), bytes(v));
    let mut told = Told::default();
    told.op(1, append("a"), 10, 50, OpResult::Written)
        .op(2, append("b"), 10, 50, OpResult::Written)
        .op(3, get(), 60, 70, value("ba"));
    told.ok();
    told.op(3, get(), 80, 90, value("baa"));
    told.broken();
}

pub fn scans_by_key_and_as_a_whole() {
    let put = |key: &str, v: &str| Op::Put(bytes(key), bytes(v));
    let scan = || Op::Scan { start: bytes("a"), end: bytes("z"), limit: 10 };
    let pairs = |pairs: &[(&str, &str)]| {
        OpResult::Pairs(pairs.iter().map(|(k, v)| (bytes(k), bytes(v))).collect())
    };
    let mut told = Told::default();
    told.op(1, put("a", "1"), 10, 20, OpResult::Written)
        .op(1, put("b", "1"), 30, 40, OpResult::Written)
        .op(2, scan(), 25, 50, pairs(&[("a", "1")]));
    told.ok();
    check_whole(&told.0, BUDGET).unwrap();
    // b was there before the scan began.
    let mut stale = Told::default();
    stale.op(1, put("b", "1"), 10, 20, OpResult::Written).op(2, scan(), 30, 40, pairs(&[]));
    assert!(stale.broken().contains("b not found"), "{}", stale.broken());
    // Each key alone is fine, together they never were: a was written before b began.
    let mut torn = Told::default();
    torn.op(1, put("a", "1"), 10, 20, OpResult::Written)
        .op(1, put("b", "1"), 30, 40, OpResult::Written)
        .op(2, scan(), 5, 50, pairs(&[("b", "1")]));
    torn.ok();
    let failure = check_whole(&torn.0, BUDGET).unwrap_err().failure.to_string();
    assert!(failure.contains("mixture of two moments"), "{failure}");
}

pub fn a_small_budget_says_unknown() {
    let mut told = Told::default();
    for client in 0..12 {
        told.op(client, put(&client.to_string()), 10, 100, OpResult::Written);
    }
    told.op(20, get(), 110, 120, value("3"));
    let failure = check(&told.0, 5).unwrap_err().failure;
    assert!(matches!(failure, Failure::Undecided { .. }), "{failure}");
    told.ok();
}

// Small random histories, half of them spoilt: the checker and a search over all orders say the same.
pub fn agrees_with_brute_force() {
    let (mut yes, mut no) = (0, 0);
    for seed in 0..4000 {
        let mut rng = Rng::new(seed);
        let history = random_history(&mut rng);
        let expected = brute_force(&history);
        let checked = check(&history, BUDGET);
        assert_eq!(checked.is_ok(), expected, "seed {seed}: {:#?}", history.ops());
        *if expected { &mut yes } else { &mut no } += 1;
    }
    assert!(yes > 500 && no > 500, "{yes} linearizable, {no} not");
}

fn random_history(rng: &mut Rng) -> History {
    let mut history = History::default();
    for client in 0..2 + rng.below(5) as u64 {
        let from = rng.below(20) as u64;
        let v = vec![b'0' + u8::try_from(rng.below(3)).unwrap()];
        let other = rng.chance(60).then(|| vec![b'0' + u8::try_from(rng.below(3)).unwrap()]);
        let (op, result) = match rng.below(5) {
            0 | 1 => (Op::Put(bytes("x"), v), OpResult::Written),
            2 => (Op::Delete(bytes("x")), OpResult::Written),
            3 => {
                let swapped = rng.chance(50);
                let expected = rng.chance(70).then(|| v.clone());
                let previous = if swapped { expected.clone() } else { other };
                let op = Op::Cas {
                    key: bytes("x"),
                    expected,
                    new: vec![b'0' + u8::try_from(rng.below(3)).unwrap()],
                };
                (op, OpResult::Swapped { swapped, previous })
            }
            _ => (get(), OpResult::Value(other)),
        };
        let id = history.begin(client, 1, op, from);
        if rng.chance(80) {
            history.returned(id, from + 1 + rng.below(12) as u64, result);
        }
    }
    history
}

// Every order of every choice of open operations.
fn brute_force(history: &History) -> bool {
    use sim::history::End;
    fn go(ops: &[sim::history::Operation], done: &mut Vec<bool>, state: Option<&[u8]>) -> bool {
        let returned = |i: usize| match &ops[i].end {
            End::Returned(at, result) => Some((*at, result)),
            _ => None,
        };
        if (0..ops.len()).all(|i| done[i] || returned(i).is_none()) {
            return true;
        }
        for i in 0..ops.len() {
            let overdue = (0..ops.len()).any(|j| {
                !done[j] && j != i && returned(j).is_some_and(|(at, _)| at < ops[i].invoked)
            });
            if done[i] || overdue {
                continue;
            }
            let result = returned(i).map(|(_, result)| result);
            let (fits, next): (bool, Option<Vec<u8>>) = match &ops[i].op {
                Op::Get(_) => {
                    let seen = OpResult::Value(state.map(<[u8]>::to_vec));
                    (result.is_none_or(|r| *r == seen), state.map(<[u8]>::to_vec))
                }
                Op::Put(_, v) => (true, Some(v.clone())),
                Op::Delete(_) => (true, None),
                Op::Cas { expected, new, .. } => {
                    let swapped = state == expected.as_deref();
                    let seen = OpResult::Swapped { swapped, previous: state.map(<[u8]>::to_vec) };
                    let next = if swapped { Some(new.clone()) } else { state.map(<[u8]>::to_vec) };
                    (result.is_none_or(|r| *r == seen), next)
                }
                _ => unreachable!(),
            };
            if fits {
                done[i] = true;
                if go(ops, done, next.as_deref()) {
                    return true;
                }
                done[i] = false;
            }
        }
        false
    }
    go(history.ops(), &mut vec![false; history.ops().len()], None)
}
