//! The wire: every message and every method of ours is the official client's.

use interop::pair::PAIRS;
use interop::{ONLY_OURS, calls, official, ours, schema, trip};

mod mistakes;

fn none(findings: &[String], what: &str) {
    assert!(findings.is_empty(), "{what}, {} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Every message is under test, or on the list of those that only we have. A message that nobody
/// compared is one that may be wrong.
#[test]
fn every_message_is_compared() {
    let listed: Vec<&str> = PAIRS.iter().map(|pair| pair.name).chain(ONLY_OURS.to_vec()).collect();
    let pool = ours();
    let messages: Vec<_> = pool.all_messages().filter(|m| !m.is_map_entry()).collect();
    let missing = messages.iter().filter(|message| !listed.contains(&message.full_name()));
    let missing: Vec<String> = missing.map(|message| message.full_name().to_owned()).collect();
    none(&missing, "not compared with anything");
    assert_eq!(messages.len(), listed.len(), "something is listed that we do not have");
}

/// Names, numbers, types, enum values and methods are those of kvproto, and what we leave out is
/// reserved.
#[test]
fn descriptions_agree() {
    none(&schema::compare(&ours(), &official(), ONLY_OURS), "our .proto files differ");
}

/// Whatever we put into a message, the official type understands and gives back, and the other way
/// round. Fields that we do not know do us no harm.
#[test]
fn bytes_agree() {
    let (ours, official) = (ours(), official());
    let mut findings = Vec::new();
    for pair in PAIRS {
        let ours = ours.get_message_by_name(pair.name).expect("the table is made from it");
        let official = official.get_message_by_name(pair.name).expect("the table is made from it");
        findings.extend(trip::check(pair, &ours, &official));
    }
    none(&findings, "the bytes differ");
}

/// A call of the official client reaches the method of that name. `Aborted` is our stub's answer;
/// `Unimplemented` would be tonic's, to a path that our service does not have.
#[tokio::test]
async fn calls_arrive() {
    let mut findings = Vec::new();
    let answers = calls::call_all().await;
    for (method, answer) in &answers {
        let reached = answer.as_ref().map(|status| (status.code(), status.message()));
        if reached != Some((official::tonic::Code::Aborted, method)) {
            findings.push(format!("a call of {method} was answered {reached:?}"));
        }
    }
    let pool = ours();
    let methods = pool.services().flat_map(|s| s.methods().collect::<Vec<_>>());
    for method in methods {
        if !answers.iter().any(|(name, _)| *name == method.full_name()) {
            findings
                .push(format!("{} cannot be called by the official client", method.full_name()));
        }
    }
    none(&findings, "calls go astray");
}
