//! Transactions of clients that die half-way, and others that clean up after them.

use std::collections::BTreeMap;

use proto::kvrpcpb::{
    CheckTxnStatusResponse, CommitResponse, LockInfo, PrewriteResponse, ResolveLockResponse,
    ScanResponse,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::world::{
    Call, Raced, Responds, Store, World, check, commit, expect_ok, prewrite, prewrite_under, put,
    resolve, scan,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("bank.rs": money_survives_clients_that_die)
}

const ACCOUNTS: u8 = 5;
const MONEY: i64 = 100;

type Balances = BTreeMap<u8, i64>;

/// What a client does next. Its two keys are in two requests each, as if they were in two regions.
enum Step {
    Read,
    Prewrite { pairs: Vec<(u8, i64)>, sent: usize },
    Commit { at: u64, pairs: Vec<(u8, i64)>, sent: usize },
    Ask(LockInfo),
    Resolve { start: u64, at: u64 },
}

struct Client {
    start: u64,
    from: u8,
    to: u8,
    step: Step,
}

impl Client {
    fn call(&self) -> Call {
        match &self.step {
            Step::Read => scan(b"", 100, self.start).call(),
            Step::Prewrite { pairs, sent } => {
                let (key, money) = pairs[*sent];
                prewrite_under(&[pairs[0].0], self.start, &[put(&[key], &money.to_be_bytes())])
                    .call()
            }
            Step::Commit { at, pairs, sent } => {
                commit(self.start, *at, &[&[pairs[*sent].0]]).call()
            }
            // Whoever meets a lock takes its owner for dead: the worst that can happen to the owner.
            Step::Ask(lock) => check(&lock.primary_lock, lock.lock_version, u64::MAX).call(),
            Step::Resolve { start, at } => resolve(*start, *at).call(),
        }
    }
}

/// Clients move money with one message a key. At each step some of them die and never come back, and some of their messages arrive
/// twice. Whoever meets a lock asks at its primary, and finishes what was decided there. In each snapshot there is all the money,
/// each reported commit is there at the end, and no lock is.
///
/// Hint: when only this test fails, look for a transaction that is committed on one key and rolled back on the other. Who decided
/// what, and which record should have stopped the other?
fn money_survives_clients_that_die(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let accounts: Vec<_> = (0..ACCOUNTS).map(|key| put(&[key], &MONEY.to_be_bytes())).collect();
    expect_ok("the first prewrite", &store.call(&prewrite(1, &accounts))?.errors)?;
    let keys: Vec<[u8; 1]> = (0..ACCOUNTS).map(|key| [key]).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    expect_ok("the first commit", &store.call(&commit(1, 2, &keys))?.error)?;

    let mut clock = 10;
    let mut clients: Vec<Client> = (0..4).map(|_| begin(&mut store, &mut clock)).collect();
    let mut late: Vec<Call> = Vec::new();
    for _ in 0..70 {
        let mut calls: Vec<Call> = clients.iter().map(Client::call).collect();
        // A copy of an old message arrives now.
        if !late.is_empty() && store.rng().chance(40) {
            let at = store.rng().below(late.len());
            calls.push(late.swap_remove(at));
        }
        if store.rng().chance(30) {
            late.push(calls[0].clone());
        }
        let answers = store.race(calls)?;
        for n in 0..clients.len() {
            let dies = store.rng().chance(8);
            if dies || take(&mut clients[n], &answers[n], &mut clock)? {
                clients[n] = begin(&mut store, &mut clock);
            }
        }
    }
    // All clients are gone; one cleans up.
    clock += 1;
    let mut last = Client { start: clock, from: 0, to: 1, step: Step::Read };
    for _ in 0..40 {
        let answers = store.race(vec![last.call()])?;
        if let Step::Read = last.step {
            let response: ScanResponse = answers[0].to()?;
            if response.pairs.iter().all(|pair| pair.error.is_none()) {
                return Ok(());
            }
        }
        take(&mut last, &answers[0], &mut clock)?;
    }
    Err(Failure::broke(
        "locks of dead transactions are never gone",
        "all clients are dead, and one asks for every lock that it meets, and resolves it",
        format!("after 40 steps there is {}", crate::rows::show_rows(&store.rows()?)),
    ))
}

fn begin(store: &mut Store, clock: &mut u64) -> Client {
    *clock += 1;
    let from = u8::try_from(store.rng().below(usize::from(ACCOUNTS))).unwrap_or_default();
    let step = 1 + u8::try_from(store.rng().below(usize::from(ACCOUNTS) - 1)).unwrap_or_default();
    Client { start: *clock, from, to: (from + step) % ACCOUNTS, step: Step::Read }
}

/// Takes the answer; true when the transaction is over.
fn take(client: &mut Client, answer: &Raced, clock: &mut u64) -> Outcome<bool> {
    *clock += 1;
    client.step = match &client.step {
        Step::Read => {
            let response: ScanResponse = answer.to()?;
            let locked = response.pairs.iter().find_map(|pair| pair.error.clone()?.locked);
            if let Some(lock) = locked {
                Step::Ask(lock)
            } else {
                let read = balances(&response);
                check_sum(&read, client.start)?;
                let amount = 5.min(read[&client.from]);
                let pairs = vec![
                    (client.from, read[&client.from] - amount),
                    (client.to, read[&client.to] + amount),
                ];
                Step::Prewrite { pairs, sent: 0 }
            }
        }
        Step::Prewrite { pairs, sent } => {
            let response: PrewriteResponse = answer.to()?;
            if !response.errors.is_empty() {
                return Ok(true);
            }
            if sent + 1 < pairs.len() {
                Step::Prewrite { pairs: pairs.clone(), sent: sent + 1 }
            } else {
                Step::Commit { at: *clock, pairs: pairs.clone(), sent: 0 }
            }
        }
        Step::Commit { at, pairs, sent } => {
            let response: CommitResponse = answer.to()?;
            if *sent == 0 && response.error.is_some() {
                // Somebody has taken us for dead.
                return Ok(true);
            }
            expect_ok("the commit of a secondary, after that of its primary", &response.error)?;
            if sent + 1 == pairs.len() {
                return Ok(true);
            }
            Step::Commit { at: *at, pairs: pairs.clone(), sent: sent + 1 }
        }
        Step::Ask(lock) => {
            let response: CheckTxnStatusResponse = answer.to()?;
            expect_ok("a question about a transaction", &response.error)?;
            Step::Resolve { start: lock.lock_version, at: response.commit_version }
        }
        Step::Resolve { .. } => {
            let response: ResolveLockResponse = answer.to()?;
            expect_ok("a resolve", &response.error)?;
            Step::Read
        }
    };
    Ok(false)
}

fn balances(response: &ScanResponse) -> Balances {
    let money = |value: &[u8]| i64::from_be_bytes(value.try_into().unwrap_or_default());
    response.pairs.iter().map(|pair| (pair.key[0], money(&pair.value))).collect()
}

fn check_sum(read: &Balances, at: u64) -> Outcome {
    let sum: i64 = read.values().sum();
    if sum == i64::from(ACCOUNTS) * MONEY && read.len() == usize::from(ACCOUNTS) {
        return Ok(());
    }
    Err(Failure::broke(
        "money was made or lost",
        format!("{ACCOUNTS} accounts had {MONEY} each, and money was only moved between them"),
        format!("a scan at {at} sees {sum} in all: {read:?}"),
    ))
}
