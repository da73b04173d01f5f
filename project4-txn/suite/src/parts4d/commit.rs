//! Phase two.

use proto::errorpb::{Error, StaleCommand};
use proto::kvrpcpb::{CommitRequest, CommitResponse, CommitTsExpired, KeyError, PrewriteResponse};
use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Asked, Desk, SETTINGS, Sent, World, show, wrong};
use super::protocol::{Coordinator, Outcome, What};
use crate::rows::text;

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("commit.rs":
        the_primary_is_committed_first_and_alone,
        the_rest_is_committed_when_the_user_knows,
        a_secondary_is_committed_where_its_region_went,
        a_commit_that_is_too_early_gets_a_new_timestamp,
        a_commit_without_an_answer_is_sent_again,
        a_commit_that_is_never_answered_is_unknown,
        a_transaction_without_writes_sends_nothing,
    )
}

fn as_commit(sent: &Sent) -> Verdict<&CommitRequest> {
    match &sent.asked {
        Asked::Commit(commit) => Ok(commit),
        _ => Err(wrong("all keys are locked", "KvCommit of the primary", sent.show())),
    }
}

/// All keys are locked: the primary's commit, and its primary.
fn all_locked(desk: &mut Desk, keys: &[&[u8]]) -> Verdict<(u64, Sent)> {
    let (start, sent) = desk.committing(keys)?;
    for part in &sent {
        desk.answer(part, &PrewriteResponse::default())?;
    }
    Ok((start, desk.one("all keys are locked")?))
}

/// The primary's commit was carried out, as it was asked.
fn yes(commit: &CommitRequest) -> CommitResponse {
    CommitResponse { commit_version: commit.commit_version, ..Default::default() }
}

/// When all keys are locked, the primary is committed, at a timestamp that the oracle has given since; and nothing else, until that is
/// answered. A secondary that is committed while the primary is rolled back by others is half a transaction.
fn the_primary_is_committed_first_and_alone(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = desk.committing(&[b"n", b"a", b"o"])?;
    let mut primary = Vec::new();
    for part in &sent {
        if let Asked::Prewrite(prewrite) = &part.asked {
            primary = prewrite.primary_lock.to_vec();
        }
        desk.answer(part, &PrewriteResponse::default())?;
    }
    let sent = desk.one("all keys are locked")?;
    let commit = as_commit(&sent)?;
    let alone = sent.keys() == [primary.clone()];
    if !alone || commit.start_version != start || commit.commit_version != desk.last_ts() {
        return Err(wrong(
            "the primary is committed first, and alone",
            format!("KvCommit [{}] of {start} at {}", text(&primary), desk.last_ts()),
            format!("{} of {} at {}", sent.show(), commit.start_version, commit.commit_version),
        ));
    }
    desk.expect_open("the primary's commit is on its way")
}

/// The primary's yes is the moment in which the transaction has happened: the user is told at once. The other keys are committed
/// in the background, at the same timestamp.
fn the_rest_is_committed_when_the_user_knows(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = all_locked(&mut desk, &[b"a", b"n", b"b", b"z"])?;
    let commit = as_commit(&sent)?.clone();
    desk.answer(&sent, &yes(&commit))?;
    desk.expect("the primary is committed", &Outcome::Committed(commit.commit_version))?;
    let rest = desk.sent();
    let mut keys: Vec<Vec<u8>> = sent.keys();
    for part in &rest {
        let other = as_commit(part)?;
        if other.start_version != start || other.commit_version != commit.commit_version {
            return Err(wrong(
                "the rest is committed as the primary was",
                format!("of {start} at {}", commit.commit_version),
                format!("of {} at {}", other.start_version, other.commit_version),
            ));
        }
        keys.extend(part.keys());
    }
    keys.sort();
    if keys != [b"a".to_vec(), b"b".to_vec(), b"n".to_vec(), b"z".to_vec()] {
        return Err(wrong("all keys are committed, once", "a, b, n, z", show(&rest)));
    }
    Ok(())
}

/// The commit of a secondary meets a region error, after the user was told. It goes on in the background all the same, and
/// the next transaction may begin meanwhile.
fn a_secondary_is_committed_where_its_region_went(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (start, sent) = all_locked(&mut desk, &[b"a", b"n"])?;
    let commit = as_commit(&sent)?.clone();
    desk.answer(&sent, &yes(&commit))?;
    let secondary = desk.one("the primary is committed")?;
    desk.done();
    desk.begin()?;
    desk.lead(2, 1);
    let error = Error { stale_command: Some(StaleCommand {}), ..Default::default() };
    desk.refuse(&secondary, error)?;
    desk.wait("the secondary's region has another leader")?;
    let again = desk.one("the secondary's region has another leader")?;
    let other = as_commit(&again)?;
    if again.store != 1 || other.start_version != start || again.keys() != secondary.keys() {
        return Err(wrong(
            "a secondary is committed in the background",
            format!("KvCommit [n] to store 1, of {start}"),
            format!("{} of {}", again.show(), other.start_version),
        ));
    }
    Ok(())
}

/// A reader was promised that the primary is not committed so early (`commit_ts_expired`): the client takes a new timestamp, and
/// commits at that.
fn a_commit_that_is_too_early_gets_a_new_timestamp(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, sent) = all_locked(&mut desk, &[b"a", b"b"])?;
    let first = as_commit(&sent)?.clone();
    let expired = CommitTsExpired {
        start_ts: first.start_version,
        attempted_commit_ts: first.commit_version,
        key: first.keys[0].clone(),
        min_commit_ts: first.commit_version + 1,
    };
    let error = Some(KeyError { commit_ts_expired: Some(expired), ..Default::default() });
    desk.answer(&sent, &CommitResponse { error, ..Default::default() })?;
    desk.expect_open("the timestamp was too early")?;
    let again = desk.one("the timestamp was too early")?;
    let second = as_commit(&again)?.clone();
    if second.commit_version <= first.commit_version || again.keys() != sent.keys() {
        return Err(wrong(
            "a commit that is too early gets a new timestamp",
            format!("KvCommit of the primary above {}", first.commit_version),
            format!("{} at {}", again.show(), second.commit_version),
        ));
    }
    desk.answer(&again, &yes(&second))?;
    desk.expect("the second one is carried out", &Outcome::Committed(second.commit_version))
}

/// The answer to the primary's commit is lost. It is asked again; the store that has carried it out says yes, and tells *when*: the
/// transaction has happened at that time.
fn a_commit_without_an_answer_is_sent_again(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, sent) = all_locked(&mut desk, &[b"a", b"n"])?;
    let first = as_commit(&sent)?.clone();
    desk.lose(&sent)?;
    desk.expect_open("the answer to the primary's commit is lost")?;
    desk.wait("the answer to the primary's commit is lost")?;
    let again = desk.one("the answer to the primary's commit is lost")?;
    if as_commit(&again)?.keys != first.keys {
        return Err(wrong("the commit is sent again", sent.show(), again.show()));
    }
    // It says what has happened, whatever was asked.
    desk.answer(&again, &yes(&first))?;
    desk.expect("the first attempt was carried out", &Outcome::Committed(first.commit_version))
}

/// No answer to any of the tries. The transaction may have happened, or may happen yet: a message can be on its way for long. The
/// user hears that nobody knows. To say "aborted" would be a lie, if it has happened; and to roll back would make a
/// lie of a commit that somebody has seen.
fn a_commit_that_is_never_answered_is_unknown(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let (_, mut sent) = all_locked(&mut desk, &[b"a", b"n"])?;
    for _ in 0..SETTINGS.tries {
        as_commit(&sent)?;
        desk.lose(&sent)?;
        if let Some(outcome) = desk.done() {
            if !matches!(outcome, Outcome::Unknown(_)) {
                return Err(wrong("no commit was answered", "Unknown", format!("{outcome:?}")));
            }
            return desk.silent("nobody knows whether the transaction has happened");
        }
        desk.wait("the answer to the primary's commit is lost")?;
        sent = desk.one("the answer to the primary's commit is lost")?;
    }
    Err(wrong("no commit was answered", "five tries, then Unknown", "it goes on"))
}

/// A transaction that only read has promised one moment, and had it. There is nothing to commit.
fn a_transaction_without_writes_sends_nothing(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    let start = desk.begin()?;
    desk.get(&[b"a"])?;
    let sent = desk.one("a key is read")?;
    desk.answer(&sent, &super::read::pairs(&[]))?;
    desk.expect("it is absent", &super::read::read(&[(b"a", None)]))?;
    desk.say(What::Commit)?;
    desk.silent("a transaction without writes")?;
    desk.expect("a transaction without writes", &Outcome::Committed(start))
}
