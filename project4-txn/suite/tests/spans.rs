//! What a trace of stage 4D tells of transactions: locks from when a store says so, to what became of them.

use multiraft_suite::stage3b::pd::Pd;
use prost::Message;
use proto::kvrpcpb as pb;
use sim::cluster::dialect::{Dialect, MessageInfo};
use sim::cluster::protocol::Channel;
use sim::trace::Event;
use txn_suite::stage4d::config::DOOR;
use txn_suite::stage4d::oracle::Oracle;
use txn_suite::stage4d::talk::{FromStore, ToStore, encode};

/// Asks store 1 through the first door, and is answered: the words of the question, and what the answer tells.
fn says(
    oracle: &mut Oracle,
    id: u64,
    method: &str,
    asked: &impl Message,
    answer: &impl Message,
) -> (String, Vec<String>) {
    let mut info = MessageInfo::default();
    let question = ToStore { id, method: method.into(), bytes: asked.encode_to_vec().into() };
    let street = (DOOR, 1, Channel::Client);
    let told = oracle.traced(street, &encode(&question), &mut info);
    assert!(told.is_empty(), "a question tells nothing of its store: {told:?}");
    let response = Some(answer.encode_to_vec().into());
    let answer = FromStore { id, method: method.into(), response };
    let back = (1, DOOR, Channel::Client);
    let told = oracle.traced(back, &encode(&answer), &mut MessageInfo::default());
    let line = |event: &Event| match event {
        Event::Lock { n, key, txn, primary, kind } => {
            format!("n{n} lock {key} {txn} {primary} {kind}")
        }
        Event::Unlock { n, key, txn } => format!("n{n} unlock {key} {txn}"),
        Event::Record { n, key, txn, commit, kind } => format!("n{n} {kind} {key} {txn} {commit}"),
        other => format!("{other:?}"),
    };
    (info.text, told.iter().map(line).collect())
}

fn prewrite(keys: &[&str]) -> pb::PrewriteRequest {
    let put = |key: &&str| pb::Mutation { key: (*key).to_owned().into(), ..Default::default() };
    pb::PrewriteRequest {
        mutations: keys.iter().map(put).collect(),
        primary_lock: b"a".to_vec().into(),
        start_version: 7,
        ..Default::default()
    }
}

#[test]
fn a_lock_lasts_from_the_answer_to_its_commit() {
    let mut oracle = Oracle::new(Pd::new());
    let done = pb::PrewriteResponse::default();
    let (words, told) = says(&mut oracle, 1, "KvPrewrite", &prewrite(&["a", "z"]), &done);
    assert_eq!(words, "txn 7 prewrite a z, primary a");
    assert_eq!(told, ["n1 lock a 7 a Put", "n1 lock z 7 a Put"]);
    // Told again, it is no second lock.
    assert!(says(&mut oracle, 2, "KvPrewrite", &prewrite(&["a"]), &done).1.is_empty());
    let commit = pb::CommitRequest {
        keys: vec![b"a".to_vec().into()],
        start_version: 7,
        commit_version: 9,
        ..Default::default()
    };
    // Refused, it ends nothing.
    let refused = pb::CommitResponse { error: Some(pb::KeyError::default()), ..Default::default() };
    assert!(says(&mut oracle, 3, "KvCommit", &commit, &refused).1.is_empty());
    let (_, told) = says(&mut oracle, 4, "KvCommit", &commit, &pb::CommitResponse::default());
    assert_eq!(told, ["n1 unlock a 7", "n1 Put a 7 9"]);
    let (_, told) = says(&mut oracle, 5, "KvCommit", &commit, &pb::CommitResponse::default());
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn what_others_roll_back_is_told_and_one_phase_has_no_lock() {
    let mut oracle = Oracle::new(Pd::new());
    says(&mut oracle, 1, "KvPrewrite", &prewrite(&["a"]), &pb::PrewriteResponse::default());
    let check = pb::CheckTxnStatusRequest {
        primary_key: b"a".to_vec().into(),
        lock_ts: 7,
        ..Default::default()
    };
    let alive = pb::CheckTxnStatusResponse { lock_ttl: 10, ..Default::default() };
    assert!(says(&mut oracle, 2, "KvCheckTxnStatus", &check, &alive).1.is_empty());
    let over = pb::CheckTxnStatusResponse {
        action: pb::Action::TtlExpireRollback.into(),
        ..Default::default()
    };
    let (_, told) = says(&mut oracle, 3, "KvCheckTxnStatus", &check, &over);
    assert_eq!(told, ["n1 unlock a 7", "n1 Rollback a 7 7"]);
    let at_once = pb::PrewriteResponse { one_pc_commit_ts: 8, ..Default::default() };
    let (_, told) = says(&mut oracle, 4, "KvPrewrite", &prewrite(&["z"]), &at_once);
    assert_eq!(told, ["n1 Put z 7 8"]);
}
