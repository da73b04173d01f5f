//! Wrong ports, a cluster that is dead, nonsense on the command line and in scripts: each answer names the thing and the
//! next step, and comes. Nothing hangs, nothing panics.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::running::{Playground, tinykv};

/// The longest that a command may take to give up.
const PATIENCE: Duration = Duration::from_secs(45);

/// Runs a command that must fail; what it says.
fn complaint(command: &mut Command) -> String {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert!(began.elapsed() < PATIENCE, "{command:?} took {:?}", began.elapsed());
    let said = said(&output);
    assert!(!output.status.success(), "{command:?} succeeded: {output:?}");
    assert!(output.status.code().is_some(), "{command:?} was killed: {said}");
    said
}

/// `tinykv`, with these words, at this cluster.
fn at(pd: &str, words: &[&str]) -> Command {
    let mut command = tinykv();
    command.args([words[0], "--pd", pd]).args(&words[1..]);
    command
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn has(command: &str, said: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| said.contains(part)), "{command}: {said}");
}

#[test]
fn a_wrong_port_is_named_and_so_is_who_is_there() {
    let playground = Playground::start();
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let silent = silent.local_addr().expect("it is bound").to_string();
    let stores = playground.says(&["store"]);
    let store = stores.split_whitespace().nth(2).expect("an address").to_owned();
    let cases: [(&str, &[&str]); 9] = [
        ("127.0.0.1:1", &["nobody answers", "cargo playground"]),
        ("", &["HOST:PORT"]),
        ("2379", &["HOST:PORT"]),
        ("127.0.0.1", &["HOST:PORT"]),
        ("127.0.0.1:99999", &["HOST:PORT"]),
        ("no one's:2379", &["no one's:2379"]),
        (&store, &["a store answers", "--pd"]),
        (&playground.status, &["no PD", "status pages", "--pd"]),
        (&silent, &["says nothing", "--pd"]),
    ];
    std::thread::scope(|scope| {
        for (address, parts) in cases {
            scope.spawn(move || {
                for words in [&["ctl", "get", "k"][..], &["bench", "raw-a"]] {
                    let said = complaint(&mut at(address, words));
                    has(&format!("{words:?} --pd {address}"), &said, &[parts, &[address]].concat());
                }
            });
        }
    });
    // The other port.
    for (status, parts) in [("127.0.0.1:1", "cannot be reached"), (&playground.pd, "status pages")]
    {
        let words = ["ctl", "--status", status, "transfer-leader", "1", "1"];
        let said = complaint(&mut at(&playground.pd, &words));
        has(&format!("--status {status}"), &said, &[parts, status, "--status"]);
    }
}

#[test]
fn a_cluster_without_a_majority_is_given_up_in_time() {
    let playground = Playground::start();
    playground.wait_for_copies();
    playground.says(&["txn", "put", "alice", "1"]);
    playground.says(&["put", "greeting", "hello"]);
    let flags = ["--clients", "2", "--seconds", "2", "--keys", "10"];
    playground.bench(&[&["bank"], &flags[..]].concat());
    let stores = playground.says(&["store"]);
    let ids: Vec<&str> =
        stores.lines().filter_map(|line| line.split_whitespace().nth(1)).take(2).collect();
    for id in ids {
        playground.says(&["kill-store", id]);
    }
    let cases: [(&[&str], &[&str]); 8] = [
        (&["ctl", "get", "greeting"], &["gave up", "ctl store"]),
        (&["ctl", "put", "greeting", "you"], &["gave up"]),
        (&["ctl", "scan"], &["gave up"]),
        (&["ctl", "mvcc", "alice"], &["gave up"]),
        (&["ctl", "txn", "get", "alice"], &["no answer"]),
        (&["ctl", "txn", "put", "alice", "2"], &["no answer"]),
        (&["bench", "bank", "--skip-load"], &["not one operation", "no answer"]),
        (&["bench", "raw-a"], &["could not be loaded", "gave up"]),
    ];
    std::thread::scope(|scope| {
        for (words, parts) in cases {
            let pd = &playground.pd;
            scope.spawn(move || {
                let mut command = at(pd, words);
                if words[0] == "bench" {
                    command.args(flags);
                }
                has(&format!("{words:?}"), &complaint(&mut command), parts);
            });
        }
    });
}

#[test]
fn nonsense_is_answered_in_words() {
    let playground = Playground::start();
    for (words, part) in [
        (&["bench", "raw-z"][..], "raw-a to raw-f"),
        (&["bench", "bank", "--clients", "0"], "--clients"),
        (&["bench", "bank", "--keys", "1"], "--keys"),
        (&["bench", "bank", "--seconds", "x"], "--seconds"),
        (&["bench", "raw-a", "--value-size", "9999999"], "--value-size"),
        (&["ctl", "scan", "--limit", "x"], "--limit"),
        (&["ctl", "region", "999"], "there is no region 999"),
        (&["ctl", "region", "18446744073709551616"], "no region has the id 18446744073709551616"),
        (&["ctl", "region", "\\xf"], "escape"),
        (&["ctl", "get"], "<KEY>"),
        (&["ctl", "--status", &playground.status, "add-peer", "0", "0"], "add-peer 0 0"),
    ] {
        let said = complaint(&mut at(&playground.pd, words));
        has(&format!("{words:?}"), &said, &[part]);
    }
    // Too much, and what is no text, in scripts.
    let large = "v".repeat(2_500_000);
    let scripts: [(Vec<u8>, &str); 5] = [
        (b"put a 1\nget \xff\xfe\n".to_vec(), "line 2 is no text"),
        (format!("put a {large}{large}\n").into_bytes(), "line 1: "),
        (
            format!("txn begin\ntxn put a {large}\ntxn put b {large}\ntxn commit\n").into(),
            "4194304",
        ),
        (format!("get {}\n", "k".repeat(100_000)).into_bytes(), "line 1: "),
        (b"get 'a\n".to_vec(), "never closed"),
    ];
    for (script, part) in scripts {
        let mut ctl = at(&playground.pd, &["ctl"]);
        ctl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = ctl.spawn().expect("it starts");
        // Who ends early does not read the rest.
        let _ = running.stdin.take().expect("it is piped").write_all(&script);
        let output = running.wait_with_output().expect("it ends");
        let shown = String::from_utf8_lossy(&script[..script.len().min(40)]).into_owned();
        assert!(!output.status.success(), "{shown}: {output:?}");
        has(&shown, &said(&output), &[part]);
    }
    // Nobody reads what is printed: `tinykv ctl scan | head -1`.
    playground.says(&["put", "greeting", "hello"]);
    let mut ctl = at(&playground.pd, &["ctl", "scan"]);
    let mut running = ctl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(running.stdout.take());
    let output = running.wait_with_output().expect("it ends");
    assert!(said(&output).is_empty() && output.status.success(), "{output:?}");
}
