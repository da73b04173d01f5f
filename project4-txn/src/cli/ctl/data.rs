//! Keys and values: raw, and in transactions.

use proto::kvrpcpb::{RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest};

use super::super::show::{say, show};
use super::super::txn::Txn;
use super::{Range, Session, TxnCommand};
use crate::AnyError;

impl Session {
    pub(super) async fn get(&self, key: Vec<u8>) -> Result<(), AnyError> {
        let ask = RawGetRequest { key: key.clone().into(), ..Default::default() };
        let answer = self.client.ask(&key, ask).await?;
        said(&answer.error)?;
        say_value((!answer.not_found).then_some(&answer.value[..]))
    }

    pub(super) async fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), AnyError> {
        let ask =
            RawPutRequest { key: key.clone().into(), value: value.into(), ..Default::default() };
        said(&self.client.ask(&key, ask).await?.error)
    }

    pub(super) async fn delete(&self, key: Vec<u8>) -> Result<(), AnyError> {
        let ask = RawDeleteRequest { key: key.clone().into(), ..Default::default() };
        said(&self.client.ask(&key, ask).await?.error)
    }

    /// Region by region.
    pub(super) async fn scan(&self, range: Range) -> Result<(), AnyError> {
        let (mut from, end, mut left) = (range.start.0, range.end.0, range.limit);
        while left > 0 {
            let ask = RawScanRequest {
                start_key: from.clone().into(),
                end_key: end.clone().into(),
                limit: left,
                ..Default::default()
            };
            let (answer, region) = self.client.ask_region(&from, ask).await?;
            for pair in &answer.kvs {
                say(format_args!("{} = {}", show(&pair.key), show(&pair.value)))?;
            }
            left = left.saturating_sub(u32::try_from(answer.kvs.len()).unwrap_or(u32::MAX));
            from = region.end_key.to_vec();
            if from.is_empty() || (!end.is_empty() && from >= end) {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn txn(&mut self, command: TxnCommand) -> Result<(), AnyError> {
        match command {
            TxnCommand::Begin if !self.lasts => {
                Err("a transaction ends with the command that began it. \
                 Start `tinykv ctl` without a command for a prompt, or pipe the commands into it"
                    .into())
            }
            TxnCommand::Begin if self.txn.is_some() => {
                Err("a transaction is open: `txn commit` or `txn rollback` first".into())
            }
            TxnCommand::Begin => {
                let txn = Txn::begin(self.client.clone(), false).await?;
                say(format_args!("begun at {}", txn.start()))?;
                self.txn = Some(txn);
                Ok(())
            }
            TxnCommand::Get { key } => {
                let value = match &mut self.txn {
                    Some(txn) => txn.get(&key.0).await?,
                    None => Txn::begin(self.client.clone(), false).await?.get(&key.0).await?,
                };
                say_value(value.as_deref())
            }
            TxnCommand::Scan(Range { start, end, limit }) => {
                let mut now;
                let txn = if let Some(txn) = &mut self.txn {
                    txn
                } else {
                    now = Txn::begin(self.client.clone(), false).await?;
                    &mut now
                };
                let pairs = txn.scan(&start.0, &end.0, limit).await?;
                for (key, value) in pairs {
                    say(format_args!("{} = {}", show(&key), show(&value)))?;
                }
                Ok(())
            }
            TxnCommand::Put { key, value } => self.write(|txn| txn.put(key.0, value.0)).await,
            TxnCommand::Delete { key } => self.write(|txn| txn.delete(key.0)).await,
            TxnCommand::Commit => {
                let txn = self.txn.take().ok_or("no transaction is open: `txn begin` opens one")?;
                commit(txn).await
            }
            TxnCommand::Rollback => {
                let txn = self.txn.take().ok_or("no transaction is open: `txn begin` opens one")?;
                say(format_args!("rolled back: {} writes forgotten", txn.len()))?;
                Ok(())
            }
        }
    }

    /// Into the open transaction, or into one of its own.
    async fn write(&mut self, write: impl FnOnce(&mut Txn)) -> Result<(), AnyError> {
        if let Some(txn) = &mut self.txn {
            write(txn);
            return Ok(());
        }
        let mut txn = Txn::begin(self.client.clone(), false).await?;
        write(&mut txn);
        commit(txn).await
    }
}

async fn commit(txn: Txn) -> Result<(), AnyError> {
    match txn.commit().await? {
        Some(done) => say(format_args!("started at {}, committed at {}", done.start, done.commit))?,
        None => say("nothing was written, so that there is nothing to commit")?,
    }
    Ok(())
}

fn say_value(value: Option<&[u8]>) -> Result<(), AnyError> {
    Ok(say(value.map_or("(nothing)".into(), show))?)
}

fn said(error: &str) -> Result<(), AnyError> {
    if error.is_empty() { Ok(()) } else { Err(error.into()) }
}
