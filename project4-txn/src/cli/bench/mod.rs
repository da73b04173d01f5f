//! `tinykv bench`: how fast a cluster is, in the manner of YCSB (Cooper et al., 2010), and with a bank.
//!
//! A workload has a *load* phase, which writes all records, and a *run* phase, in which a number of clients each do one
//! operation after the other: as many clients, as many operations under way (a closed loop). So throughput and latency
//! are two views of one thing, and a slow server is asked less.
//!
//! | workload | operations | which records |
//! |---|---|---|
//! | A | 50% read, 50% update | zipfian: a few are asked for all the time |
//! | B | 95% read, 5% update | zipfian |
//! | C | read | zipfian |
//! | D | 95% read, 5% insert | latest: the newer, the more often |
//! | E | 95% scan of 1 to 100 records, 5% insert | zipfian |
//! | F | 50% read, 50% read-modify-write | zipfian |
//! | bank | transfers between two accounts, 10% sums over all of them | uniform |
//!
//! `raw-a` to `raw-f` use the raw calls, `txn-a` to `txn-f` a transaction for each operation. In F, raw, another client may
//! write between the read and the write, as in YCSB; in a transaction that is a conflict, and the operation begins again.
//! So it does in the bank. A conflict is counted, and is part of the operation's time.
//!
//! - [`records`]: keys, values, and which one is next.
//! - [`mod@run`]: the clients, and what they count.
//! - [`bank`]: accounts, transfers, sums. A sum that is not what it was at the beginning ends the run: that is no figure.
//! - [`report`]: the line while it runs, and the table.

mod bank;
mod operations;
mod records;
mod report;
mod run;

use std::str::FromStr;
use std::sync::Arc;

use super::client::Client;
use super::show::say;
use crate::AnyError;

pub use run::{Load, run};

/// How many accounts a bank has.
const ACCOUNTS: u64 = 1_000;

/// The flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// raw-a to raw-f, txn-a to txn-f, or bank
    workload: Workload,

    /// Where PD is, of any cluster that speaks TiKV's protocol
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379")]
    pd: String,

    /// How many clients work at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    clients: u32,

    /// Stop after so long
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Stop after so many operations, if that comes first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// How many records, or accounts, there are at the beginning [default: 10000, in the bank 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1_000_000_000))]
    keys: Option<u64>,

    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    value_size: u32,

    /// The records are there already, from an earlier run with as many of them
    #[arg(long)]
    skip_load: bool,

    /// Let a store commit at once what it holds alone (TiKV's 1PC)
    #[arg(long)]
    one_pc: bool,

    /// What chance begins with: the same seed asks for the same records
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One of YCSB's, over the raw calls.
    Raw(Mix),
    /// One of YCSB's, each operation a transaction.
    Txn(Mix),
    /// Accounts.
    Bank,
}

/// YCSB's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    A,
    B,
    C,
    D,
    E,
    F,
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Workload, String> {
        let mix = |letter| match letter {
            "a" => Some(Mix::A),
            "b" => Some(Mix::B),
            "c" => Some(Mix::C),
            "d" => Some(Mix::D),
            "e" => Some(Mix::E),
            "f" => Some(Mix::F),
            _ => None,
        };
        let found = match text.split_once('-') {
            Some(("raw", letter)) => mix(letter).map(Workload::Raw),
            Some(("txn", letter)) => mix(letter).map(Workload::Txn),
            _ if text == "bank" => Some(Workload::Bank),
            _ => None,
        };
        found.ok_or_else(|| "it may be raw-a to raw-f, txn-a to txn-f, or bank".into())
    }
}

impl Args {
    /// How many records there are at the beginning.
    fn records(&self) -> u64 {
        self.keys.unwrap_or(if self.workload == Workload::Bank { ACCOUNTS } else { 10_000 })
    }
}

/// Loads, runs, and prints what came out.
///
/// # Errors
/// The cluster cannot be reached, nothing at all was done, or the bank has lost or made money.
pub async fn command(args: Args) -> Result<(), AnyError> {
    let client = Arc::new(Client::connect(&args.pd).await?);
    let load = Arc::new(Load::new(client.clone(), &args));
    if !args.skip_load {
        let rows = args.records();
        report::tell(&format!("loading {rows} records"));
        load.fill(report::line).await?;
        report::end_of_line();
    }
    let outcome = run(&load, report::line).await;
    client.settled().await;
    let outcome = outcome?;
    if args.json {
        say(report::json(&args, &outcome))?;
    } else {
        say(report::table(&args, &outcome).trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_named_by_kind_and_letter() {
        assert_eq!("raw-a".parse(), Ok(Workload::Raw(Mix::A)));
        assert_eq!("txn-f".parse(), Ok(Workload::Txn(Mix::F)));
        assert_eq!("bank".parse(), Ok(Workload::Bank));
        for wrong in ["raw", "raw-g", "bank-a", "txn-", "RAW-A"] {
            let said = wrong.parse::<Workload>().expect_err(wrong);
            assert!(said.contains("raw-a to raw-f"), "{said}");
        }
    }
}
