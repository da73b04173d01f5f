//! `mvcc KEY`: every version of a key, newest first, and its lock.

use std::fmt::Write as _;

use proto::kvrpcpb::{MvccGetByKeyRequest, MvccInfo, Op};
use txn::TimeStamp;
use txn::mvcc::key;

use super::super::show::{say, show};
use super::Session;
use crate::AnyError;

impl Session {
    pub(super) async fn mvcc(&self, wanted: Vec<u8>) -> Result<(), AnyError> {
        let now = self.client.timestamp().await?;
        let ask = MvccGetByKeyRequest { key: wanted.clone().into(), ..Default::default() };
        let answer = self.client.ask(&key::encode(&wanted), ask).await?;
        if !answer.error.is_empty() {
            return Err(answer.error.into());
        }
        say(versions(&answer.info.unwrap_or_default(), now).trim_end())?;
        Ok(())
    }
}

fn versions(info: &MvccInfo, now: TimeStamp) -> String {
    let mut text = String::new();
    if let Some(lock) = &info.lock {
        let (began, ttl) = (TimeStamp::new(lock.start_ts), lock.ttl);
        let over = now.physical() >= began.physical().saturating_add(ttl);
        let _ = writeln!(
            text,
            "locked    by {began} ({}, {}), primary {}, for {ttl} ms{}{}",
            lock.r#type().as_str_name(),
            ago(began, now),
            show(&lock.primary),
            if over { ": that is over, whoever meets it finishes it" } else { "" },
            if lock.use_async_commit { ", async commit" } else { "" },
        );
    }
    for write in &info.writes {
        let long = info.values.iter().find(|value| value.start_ts == write.start_ts);
        let value = match long {
            _ if write.r#type() != Op::Put => String::new(),
            Some(value) => format!(" = {}", show(&value.value)),
            None => format!(" = {}", show(&write.short_value)),
        };
        let (kind, start, commit) = (write.r#type().as_str_name(), write.start_ts, write.commit_ts);
        let ago = ago(TimeStamp::new(commit), now);
        let _ = writeln!(text, "{kind:<9} at {commit} ({ago}), begun at {start}{value}");
    }
    if text.is_empty() { "nothing is stored for this key\n".into() } else { text }
}

/// How long ago, for people.
fn ago(then: TimeStamp, now: TimeStamp) -> String {
    let ms = now.physical().saturating_sub(then.physical());
    match ms {
        0..1_000 => format!("{ms} ms ago"),
        1_000..60_000 => format!("{}.{} s ago", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min ago", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h ago", ms / 3_600_000),
        _ => format!("{} days ago", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use proto::kvrpcpb::{MvccLock, MvccWrite};

    use super::*;

    #[test]
    fn versions_and_a_lock_read_well() {
        let at = |ms: u64| ms << 18;
        let info = MvccInfo {
            lock: Some(MvccLock {
                start_ts: at(9_000),
                primary: b"bob".to_vec().into(),
                ttl: 3_000,
                ..Default::default()
            }),
            writes: vec![
                MvccWrite {
                    r#type: Op::Del.into(),
                    start_ts: at(4_000),
                    commit_ts: at(5_000),
                    ..Default::default()
                },
                MvccWrite {
                    start_ts: at(1_000),
                    commit_ts: at(1_500),
                    short_value: b"\xff".to_vec().into(),
                    ..Default::default()
                },
            ],
            ..Default::default()
        };
        let text = versions(&info, TimeStamp::new(at(13_500)));
        assert_eq!(
            text,
            "locked    by 2359296000 (Put, 4.5 s ago), primary bob, for 3000 ms: that is over, whoever meets it finishes it\n\
             Del       at 1310720000 (8.5 s ago), begun at 1048576000\n\
             Put       at 393216000 (12.0 s ago), begun at 262144000 = \\xff\n"
        );
    }
}
