//! A whole run as data: what goes wrong when, and who asks for what. Drawn from a seed, replayed, made shorter.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::faults::{Chaos, TimedFault, between};
use super::protocol::Micros;
use super::setup::{MS, SECOND, Setup};
use crate::history::{Micro, Op};
use crate::rng::Rng;

/// One operation of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOp {
    /// Who.
    pub client: u64,
    /// How long it waits after its last operation was over.
    pub think: Micros,
    /// What.
    pub op: Op,
}

/// A run before it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What goes wrong.
    pub faults: Vec<TimedFault>,
    /// What clients do, each its own in this order.
    pub ops: Vec<PlannedOp>,
    /// When the faults are over and recovery begins; operations may still be open then.
    pub length: Micros,
}

/// How often each operation comes, against the others, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Reads of a key.
    pub gets: u32,
    /// Writes of a key.
    pub puts: u32,
    /// Removals.
    pub deletes: u32,
    /// Compare-and-swaps; half of them expect a value that may be there.
    pub cas: u32,
    /// Appends (no raw API has them).
    pub appends: u32,
    /// Reads of a range.
    pub scans: u32,
    /// Transactions that read lists, and append to them.
    pub lists: u32,
    /// Transactions that move money between two accounts, or look at all of them.
    pub transfers: u32,
    /// How many keys the clients share. Few keys, many conflicts.
    pub keys: usize,
    /// Bytes of a value, at least: values are unique, and padded up to here.
    pub value: usize,
}

impl Mix {
    /// Gets and puts, some deletes and compare-and-swaps, on eight keys.
    pub const KV: Mix = Mix { gets: 8, puts: 8, deletes: 1, cas: 3, ..Mix::NOTHING };
    /// Transactions on five lists.
    pub const LISTS: Mix = Mix { lists: 1, keys: 5, ..Mix::NOTHING };
    /// Transactions on five accounts.
    pub const BANK: Mix = Mix { transfers: 1, keys: 5, ..Mix::NOTHING };
    const NOTHING: Mix = Mix {
        gets: 0,
        puts: 0,
        deletes: 0,
        cas: 0,
        appends: 0,
        scans: 0,
        lists: 0,
        transfers: 0,
        keys: 8,
        value: 0,
    };

    /// Draws one operation. `number` makes its value unique: an answer then tells which write it saw.
    pub fn draw(&self, rng: &mut Rng, client: u64, number: usize) -> Op {
        let weights = [
            self.gets,
            self.puts,
            self.deletes,
            self.cas,
            self.appends,
            self.scans,
            self.lists,
            self.transfers,
        ];
        let total: u32 = weights.iter().sum();
        let mut draw = rng.below(total as usize);
        let kind = weights.iter().position(|weight| {
            let here = draw < *weight as usize;
            draw = draw.saturating_sub(*weight as usize);
            here
        });
        match kind {
            Some(6) => return self.list(rng, client, number),
            Some(7) => return self.transfer(rng),
            _ => {}
        }
        let key = key(rng.below(self.keys));
        let value = format!("{client}.{number}");
        let padded = format!("{value:.<width$}", width = self.value.max(value.len())).into_bytes();
        match kind.unwrap_or_default() {
            0 => Op::Get(key),
            1 => Op::Put(key, padded),
            2 => Op::Delete(key),
            3 => {
                // A client's own earlier value is the likeliest guess that needs no look.
                let guess = format!("{client}.{}", number.saturating_sub(1 + rng.below(3)));
                let guess = format!("{guess:.<width$}", width = self.value.max(guess.len()));
                let expected = rng.chance(70).then(|| guess.into_bytes());
                Op::Cas { key, expected, new: padded }
            }
            4 => Op::Append(key, format!("[{value}]").into_bytes()),
            _ => Op::Scan {
                start: key,
                end: b"l".to_vec(),
                limit: 1 + u32::try_from(rng.below(self.keys)).unwrap_or(0),
            },
        }
    }
}

impl Mix {
    // One to four steps. An element names its transaction and its step, so that it is written once.
    fn list(&self, rng: &mut Rng, client: u64, number: usize) -> Op {
        let steps = (0..=rng.below(4)).map(|step| {
            let key = key(rng.below(self.keys));
            if rng.chance(50) {
                Micro::Read(key)
            } else {
                Micro::Append(key, format!("{client}.{number}.{step}").into_bytes())
            }
        });
        Op::Txn(steps.collect())
    }

    // What one account loses, another gets: the sum of all is always 0.
    fn transfer(&self, rng: &mut Rng) -> Op {
        if rng.chance(30) {
            return Op::Txn((0..self.keys).map(|n| Micro::Read(key(n))).collect());
        }
        let from = rng.below(self.keys);
        let amount = i64::try_from(1 + rng.below(9)).unwrap_or(1);
        let to = (from + 1 + rng.below(self.keys.saturating_sub(1))) % self.keys.max(1);
        Op::Txn(vec![Micro::Add(key(from), -amount), Micro::Add(key(to), amount)])
    }
}

fn key(number: usize) -> Vec<u8> {
    format!("k{number}").into_bytes()
}

impl Plan {
    /// Draws a plan: `clients` with `ops` operations each, spread over about `length`, and faults from `chaos`.
    pub fn draw(
        seed: u64,
        setup: &Setup,
        clients: u64,
        ops: usize,
        mix: &Mix,
        chaos: &Chaos,
        length: Micros,
    ) -> Plan {
        let mut rng = Rng::fork(seed, "faults");
        // The first leader is elected in peace.
        let faults = chaos.schedule(&mut rng, &setup.ids(), 2 * SECOND, length);
        let mut rng = Rng::fork(seed, "operations");
        let mut planned = Vec::new();
        let pause = length / (ops.max(1) as u64);
        for number in 0..ops {
            for client in 1..=clients {
                let think = between(&mut rng, (0, 2 * pause));
                // Now and then in a burst.
                let think = if rng.chance(30) { think.min(MS) } else { think };
                planned.push(PlannedOp { client, think, op: mix.draw(&mut rng, client, number) });
            }
        }
        Plan { faults, ops: planned, length }
    }

    /// The faults and the number of operations, for people.
    pub fn text(&self) -> String {
        let clients: std::collections::BTreeSet<u64> =
            self.ops.iter().map(|op| op.client).collect();
        let mut text = format!("{} operations of {} clients; ", self.ops.len(), clients.len());
        let _ = write!(text, "{} faults", self.faults.len());
        for fault in &self.faults {
            let _ = write!(text, "\n  {fault}");
        }
        if self.ops.len() <= 12 {
            for op in &self.ops {
                let _ =
                    write!(text, "\n  client {}: {} after {} ms", op.client, op.op, op.think / MS);
            }
        }
        text
    }
}
