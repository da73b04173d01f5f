//! A bank: money moves between accounts, and a sum over all of them never changes.
//!
//! That is the oldest test of a transaction there is. A sum is read in one snapshot, while transfers go on; if it is not what
//! the bank began with, a transfer was seen half, or was lost, and the run ends with that.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::super::txn::Failed;
use super::records::uniform;
use super::run::{Kind, Load, Trouble};

/// What an account begins with.
const BALANCE: i64 = 100;

/// The largest transfer.
const MOST: i64 = 10;

/// Of a hundred operations so many are sums.
const SUMS: u32 = 10;

/// All accounts are between these two.
const ACCOUNTS: (&[u8], &[u8]) = (b"bank/", b"bank0");

fn account(n: u64) -> Vec<u8> {
    format!("bank/{n:010}").into_bytes()
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl Load {
    pub(super) async fn open_accounts(&self, first: u64, end: u64) -> Result<(), Failed> {
        if first == 0 {
            self.close_accounts().await?;
        }
        let mut txn = self.begin().await?;
        for n in first..end {
            txn.put(account(n), BALANCE.to_string());
        }
        txn.commit().await.map(drop)
    }

    /// An earlier bank may have been larger.
    async fn close_accounts(&self) -> Result<(), Failed> {
        loop {
            let mut txn = self.begin().await?;
            let old = txn.scan(&account(self.records), ACCOUNTS.1, 1_000).await?;
            if old.is_empty() {
                return Ok(());
            }
            for (key, _) in old {
                txn.delete(key);
            }
            txn.commit().await?;
        }
    }

    pub(super) async fn bank_operation(&self, rng: &mut ChaCha8Rng) -> Result<Kind, Trouble> {
        if rng.random_range(0..100) < SUMS {
            return self.sum().await.map(|()| Kind::Sum);
        }
        let from = uniform(rng, self.records);
        let to = (from + 1 + uniform(rng, self.records - 1)) % self.records;
        let amount = rng.random_range(1..=MOST);
        loop {
            match self.transfer(from, to, amount).await {
                Ok(()) => return Ok(Kind::Transfer),
                Err(Failed::Conflict(_)) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Err(failed) => return Err(Trouble::Error(failed.to_string())),
            }
        }
    }

    async fn transfer(&self, from: u64, to: u64, amount: i64) -> Result<(), Failed> {
        let mut txn = self.begin().await?;
        let (from, to) = (account(from), account(to));
        let found = txn.read(&[from.clone(), to.clone()]).await?;
        let (poorer, richer) = (balance(&found, &from)?, balance(&found, &to)?);
        // Nobody may be in debt, so a transfer may be of nothing: still a transaction, since both accounts are written.
        let amount = amount.min(poorer);
        txn.put(from, (poorer - amount).to_string());
        txn.put(to, (richer + amount).to_string());
        txn.commit().await.map(drop)
    }

    async fn sum(&self) -> Result<(), Trouble> {
        let failed = |failed: Failed| Trouble::Error(failed.to_string());
        let mut txn = self.begin().await.map_err(failed)?;
        let accounts = txn.scan(ACCOUNTS.0, ACCOUNTS.1, u32::MAX).await.map_err(failed)?;
        let sum: i64 = accounts.iter().filter_map(|(_, value)| number(value)).sum();
        let (count, expected) =
            (accounts.len() as u64, i64::try_from(self.records).unwrap_or(0) * BALANCE);
        if count == self.records && sum == expected {
            return Ok(());
        }
        Err(Trouble::Wrong(format!(
            "the bank is wrong: at {} there are {count} accounts with {sum} in all; it began with {} accounts and {expected}",
            txn.start(),
            self.records
        )))
    }
}

fn balance(found: &BTreeMap<Vec<u8>, Option<Vec<u8>>>, account: &[u8]) -> Result<i64, Failed> {
    let value = found.get(account).and_then(|value| value.as_deref());
    value.and_then(number).ok_or_else(|| {
        let account = String::from_utf8_lossy(account);
        Failed::Stuck(format!("`{account}` is no account: run without --skip-load"))
    })
}
