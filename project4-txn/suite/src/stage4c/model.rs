//! Every command, twice and in every order, against maps.

use std::collections::BTreeMap;

use proto::kvrpcpb::KeyError;
use sim::failure::{Failure, Outcome};
use sim::harness::Test;
use sim::rng::Rng;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write, text};
use crate::world::{
    Answers, Store, TTL, World, check, commit, delete, expect_rows, get, mutation, prewrite_under,
    put, resolve, rollback,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("model.rs": commands_in_any_order_do_what_maps_would)
}

/// What a store would do that had one thread and no disk. Written without regard to how it is done in one: a key has a lock,
/// and a list of what happened.
#[derive(Default)]
pub(crate) struct Model {
    keys: BTreeMap<Vec<u8>, Key>,
}

#[derive(Default, Clone)]
struct Key {
    lock: Option<Lock>,
    /// By commit timestamp.
    commits: BTreeMap<u64, Write>,
    /// Who was rolled back.
    dead: Vec<u64>,
}

/// What a command says, as far as the model goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Ok,
    Locked(u64),
    Conflict,
    NoLock,
    Committed(u64),
    Value(Option<Vec<u8>>),
    Alive,
    Dead,
    Other(String),
}

fn said(error: Option<&KeyError>) -> Said {
    match error {
        None => Said::Ok,
        Some(KeyError { locked: Some(lock), .. }) => Said::Locked(lock.lock_version),
        Some(KeyError { conflict: Some(_), .. }) => Said::Conflict,
        Some(KeyError { retryable, .. }) if !retryable.is_empty() => Said::NoLock,
        Some(KeyError { abort, .. }) if !abort.is_empty() => Said::Committed(0),
        Some(error) => Said::Other(format!("{error:?}")),
    }
}

impl Key {
    fn own_commit(&self, start: u64) -> Option<u64> {
        self.commits.iter().find(|(_, write)| write.start == start).map(|(at, _)| *at)
    }

    fn may_lock(&self, start: u64) -> Said {
        match &self.lock {
            Some(lock) if lock.start != start => return Said::Locked(lock.start),
            Some(_) => return Said::Ok,
            None => {}
        }
        let late = self.dead.contains(&start) || self.commits.keys().any(|at| *at > start);
        if late && self.own_commit(start).is_none() { Said::Conflict } else { Said::Ok }
    }

    fn owned_by(&self, start: u64) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.start == start)
    }

    fn commit(&mut self, start: u64, at: u64) {
        if let Some(lock) = self.lock.take_if(|lock| lock.start == start) {
            self.commits.insert(at, Write { value: lock.value, ..Write::new(lock.kind, start) });
        }
    }

    fn kill(&mut self, start: u64) {
        self.lock.take_if(|lock| lock.start == start);
        if !self.dead.contains(&start) {
            self.dead.push(start);
        }
    }
}

impl Model {
    fn key(&mut self, key: &[u8]) -> &mut Key {
        self.keys.entry(key.to_vec()).or_default()
    }

    fn prewrite(&mut self, primary: &[u8], start: u64, keys: &[(Vec<u8>, Kind, Vec<u8>)]) -> Said {
        let refused =
            keys.iter().map(|(key, ..)| self.key(key).may_lock(start)).find(|s| *s != Said::Ok);
        if let Some(refused) = refused {
            return refused;
        }
        for (key, kind, value) in keys {
            let state = self.key(key);
            if state.lock.is_none() && state.own_commit(start).is_none() {
                let value = (*kind == Kind::Put).then(|| value.clone());
                state.lock = Some(Lock { value, ..Lock::new(*kind, primary, start, TTL) });
            }
        }
        Said::Ok
    }

    fn commit(&mut self, start: u64, at: u64, keys: &[Vec<u8>]) -> Said {
        let may = |key: &Key| key.owned_by(start) || key.own_commit(start).is_some();
        if !keys.iter().all(|key| may(self.key(key))) {
            return Said::NoLock;
        }
        for key in keys {
            self.key(key).commit(start, at);
        }
        Said::Ok
    }

    fn rollback(&mut self, start: u64, keys: &[Vec<u8>]) -> Said {
        if keys.iter().any(|key| self.key(key).own_commit(start).is_some()) {
            return Said::Committed(0);
        }
        for key in keys {
            self.key(key).kill(start);
        }
        Said::Ok
    }

    fn check(&mut self, primary: &[u8], start: u64, expired: bool) -> Said {
        let key = self.key(primary);
        if let Some(at) = key.own_commit(start) {
            return Said::Committed(at);
        }
        if key.owned_by(start) && !expired {
            return Said::Alive;
        }
        key.kill(start);
        Said::Dead
    }

    fn resolve(&mut self, start: u64, at: u64) -> Said {
        for key in self.keys.values_mut().filter(|key| key.owned_by(start)) {
            if at == 0 { key.kill(start) } else { key.commit(start, at) }
        }
        Said::Ok
    }

    fn get(&mut self, key: &[u8], at: u64) -> Said {
        let key = self.key(key);
        if let Some(lock) = &key.lock
            && lock.start <= at
            && lock.kind != Kind::Lock
        {
            return Said::Locked(lock.start);
        }
        let newest = key.commits.range(..=at).rev().find(|(_, write)| write.kind != Kind::Lock);
        Said::Value(newest.and_then(|(_, write)| write.value.clone()))
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (key, state) in &self.keys {
            rows.extend(state.lock.iter().map(|lock| Row::Lock(key.clone(), lock.clone())));
            for (at, write) in &state.commits {
                let overlapped = state.dead.contains(at);
                rows.push(Row::Write(key.clone(), *at, Write { overlapped, ..write.clone() }));
            }
            let alone = state.dead.iter().filter(|start| !state.commits.contains_key(start));
            rows.extend(
                alone.map(|start| {
                    Row::Write(key.clone(), *start, Write::new(Kind::Rollback, *start))
                }),
            );
        }
        rows
    }
}

/// Any sequence of prewrites, commits, rollbacks, questions, resolves and reads, of few transactions on few keys, with timestamps
/// that meet, and with each message perhaps once more at once or much later: each answer, and what lies there at the end of
/// each step, is what simple maps give.
///
/// Hint: when only this test fails, look at the last calls that it lists, and for the smaller test of the last one's handler.
fn commands_in_any_order_do_what_maps_would(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..14 {
        store.anew()?;
        let (mut model, mut story) = (Model::default(), Vec::new());
        let txns = transactions(store.rng());
        for _ in 0..28 {
            step(&mut store, &mut model, &txns, &mut story)?;
        }
        let what = format!("after {}", story[story.len().saturating_sub(6)..].join("; "));
        expect_rows(&mut store, &what, &model.rows())?;
    }
    Ok(())
}

/// A few transactions: start and commit. Each has a fate, as one that is decided at its primary has.
pub(crate) fn transactions(rng: &mut Rng) -> Vec<(u64, u64)> {
    (0..4).map(|n| (10 + 2 * n, 11 + 2 * n + rng.below(6) as u64)).collect()
}

/// One command, perhaps twice, and what the model says to it.
///
/// # Errors
/// The answer is another one.
pub(crate) fn step(
    store: &mut impl Answers,
    model: &mut Model,
    txns: &[(u64, u64)],
    story: &mut Vec<String>,
) -> Outcome {
    let keys: [&[u8]; 3] = [b"k", b"k\x00", b"l"];
    let (start, at) = *store.luck().pick(txns);
    let mut some: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
    let skipped = store.luck().below(3);
    some.remove(skipped);
    if store.luck().chance(50) {
        some.pop();
    }
    let what = store.luck().below(8);
    let expired = store.luck().chance(50);
    let kinds: Vec<usize> = some.iter().map(|_| store.luck().below(4)).collect();
    let times = 1 + store.luck().below(2);
    for _ in 0..times {
        let names: Vec<&[u8]> = some.iter().map(|key| &key[..]).collect();
        let (right, seen, told) = match what {
            0..3 => {
                let value = start.to_string().into_bytes();
                let mutations: Vec<_> = some
                    .iter()
                    .zip(&kinds)
                    .map(|(key, kind)| match kind {
                        0 => (delete(key), (key.clone(), Kind::Delete, Vec::new())),
                        1 => (
                            mutation(proto::kvrpcpb::Op::Lock, key, b""),
                            (key.clone(), Kind::Lock, Vec::new()),
                        ),
                        _ => (put(key, &value), (key.clone(), Kind::Put, value.clone())),
                    })
                    .collect();
                let (requests, kept): (Vec<_>, Vec<_>) = mutations.into_iter().unzip();
                let response = store.answered(&prewrite_under(b"k", start, &requests))?;
                let right = model.prewrite(b"k", start, &kept);
                (right, said(response.errors.first()), format!("prewrite {start}"))
            }
            3 => {
                let response = store.answered(&commit(start, at, &names))?;
                let right = model.commit(start, at, &some);
                (right, said(response.error.as_ref()), format!("commit {start} at {at}"))
            }
            4 => {
                let response = store.answered(&rollback(start, &names))?;
                let right = model.rollback(start, &some);
                (right, said(response.error.as_ref()), format!("rollback {start}"))
            }
            5 => {
                let now = if expired { u64::MAX } else { start };
                let response = store.answered(&check(b"k", start, now))?;
                let right = model.check(b"k", start, expired);
                let seen = match (&response.error, &response.lock_info) {
                    (Some(error), _) => said(Some(error)),
                    (None, Some(_)) => Said::Alive,
                    (None, None) if response.commit_version > 0 => {
                        Said::Committed(response.commit_version)
                    }
                    (None, None) => Said::Dead,
                };
                (right, seen, format!("check {start}, expired {expired}"))
            }
            6 => {
                let primary = model.key(b"k");
                let fate = primary.own_commit(start).unwrap_or(0);
                if primary.owned_by(start) || (fate == 0 && !primary.dead.contains(&start)) {
                    return Ok(());
                }
                let response = store.answered(&resolve(start, fate))?;
                let right = model.resolve(start, fate);
                (right, said(response.error.as_ref()), format!("resolve {start} at {fate}"))
            }
            _ => {
                let response = store.answered(&get(&some[0], at))?;
                let right = model.get(&some[0], at);
                let seen = match &response.error {
                    Some(error) => said(Some(error)),
                    None => Said::Value((!response.not_found).then(|| response.value.to_vec())),
                };
                (right, seen, format!("get at {at}"))
            }
        };
        let named: Vec<String> = some.iter().map(|key| text(key)).collect();
        story.push(format!("{told} of {}", named.join(" ")));
        if right != seen {
            let last = &story[story.len().saturating_sub(6)..];
            return Err(Failure::broke(
                format!("the last of these calls has a wrong answer: {}", last.join("; ")),
                format!("right would be: {right:?}"),
                format!("it is {seen:?}, and {}", store.holds()?),
            ));
        }
    }
    Ok(())
}
