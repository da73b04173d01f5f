//! `tinykv bench`, through the real binary. How fast is no question here: what is counted is.

use super::running::{Playground, tinykv};

fn done(outcome: &serde_json::Value, operation: &str) -> u64 {
    outcome["operations"][operation]["done"].as_u64().unwrap_or(0)
}

#[test]
fn each_workload_does_what_its_letter_says() {
    let playground = Playground::start();
    let expected: [(&str, &[&str]); 6] = [
        ("a", &["read", "update"]),
        ("b", &["read", "update"]),
        ("c", &["read"]),
        ("d", &["read", "insert"]),
        ("e", &["scan", "insert"]),
        ("f", &["read", "read-modify-write"]),
    ];
    for kind in ["raw", "txn"] {
        for (letter, operations) in expected {
            let workload = format!("{kind}-{letter}");
            let flags = ["--count", "40", "--seconds", "60", "--clients", "4", "--keys", "100"];
            let words: Vec<&str> = [&workload[..]].into_iter().chain(flags).collect();
            let outcome = playground.bench(&words);
            assert_eq!(outcome["failed"], 0, "{outcome}");
            let all = outcome["all"]["done"].as_u64().unwrap_or(0);
            assert!((40..45).contains(&all), "{workload}: {outcome}");
            let named: u64 = operations.iter().map(|operation| done(&outcome, operation)).sum();
            assert_eq!(named, all, "{workload}: {outcome}");
            let times = &outcome["all"];
            let (p50, p99) = (times["p50_us"].as_u64(), times["p99_us"].as_u64());
            assert!(p50 > Some(0) && p50 <= p99 && p99 <= times["max_us"].as_u64(), "{outcome}");
        }
    }
}

#[test]
fn a_bank_keeps_its_money_and_a_wrong_sum_ends_it() {
    let playground = Playground::start();
    let flags = ["--count", "60", "--seconds", "60", "--clients", "4", "--keys", "20"];
    for more in [&[][..], &["--one-pc"]] {
        let words: Vec<&str> =
            ["bank"].into_iter().chain(flags).chain(more.iter().copied()).collect();
        let outcome = playground.bench(&words);
        assert_eq!(outcome["failed"], 0, "{outcome}");
        assert!(done(&outcome, "transfer") > 0 && done(&outcome, "sum") > 0, "{outcome}");
    }
    // Somebody takes money away.
    playground.says(&["txn", "put", "bank/0000000003", "0"]);
    let mut bench = tinykv();
    let bench = bench.args(["bench", "--pd", &playground.pd, "bank", "--skip-load"]).args(flags);
    let robbed = bench.output().expect("it runs");
    let said = String::from_utf8_lossy(&robbed.stderr).into_owned();
    assert!(!robbed.status.success() && said.contains("the bank is wrong"), "{robbed:?}");
}
