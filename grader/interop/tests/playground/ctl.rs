//! `tinykv ctl`, through the real binary.

use tempfile::TempDir;

use super::running::{Playground, until};

#[test]
fn each_command_says_what_it_found_or_did() {
    let playground = Playground::start();
    // Raw keys, with bytes that are no text.
    playground.says(&["put", "greeting", "hello"]);
    playground.says(&["put", "\\xff\\x00", "a b"]);
    assert_eq!(playground.says(&["get", "greeting"]), "hello\n");
    assert_eq!(playground.says(&["get", "nobody"]), "(nothing)\n");
    assert_eq!(playground.says(&["scan"]), "greeting = hello\n\\xff\\x00 = a b\n");
    assert_eq!(playground.says(&["scan", "h", "--limit", "1"]), "\\xff\\x00 = a b\n");
    playground.says(&["delete", "greeting"]);
    assert_eq!(playground.says(&["get", "greeting"]), "(nothing)\n");
    // Transactional ones are others, and have versions.
    playground.says(&["txn", "put", "alice", "100"]);
    playground.says(&["txn", "put", "alice", "200"]);
    assert_eq!(playground.says(&["txn", "get", "alice"]), "200\n");
    assert_eq!(playground.says(&["get", "alice"]), "(nothing)\n");
    let versions = playground.says(&["mvcc", "alice"]);
    let lines: Vec<&str> = versions.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].ends_with("= 200") && lines[1].ends_with("= 100"),
        "{versions}"
    );
    assert!(lines[0].contains(" ago), begun at "), "{versions}");
    // Regions.
    playground.wait_for_copies();
    let parts = playground.says(&["split", "bob"]);
    assert!(parts.contains("[start, bob)"), "{parts}");
    until("a region that begins at bob", || playground.says(&["region", "bob"]).contains("[bob, "));
    let stores = playground.says(&["store"]);
    assert_eq!(stores.lines().count(), 3, "{stores}");
    let region = playground.says(&["region", "alice"]);
    let id = region.split_whitespace().nth(1).expect("a region has an id").to_owned();
    assert_eq!(playground.says(&["region", &id]).split_whitespace().nth(1), Some(&id[..]));
    // Another store leads, if the scheduler finds the time.
    let follower = follower(&region);
    until("another leader", || {
        playground.ctl(&["transfer-leader", &id, &follower]);
        playground.says(&["region", &id]).contains(&format!("on store {follower} leads"))
    });
    assert!(playground.says(&["tso"]).contains(" ms since 1970"));
}

/// A store with a peer that does not lead.
fn follower(region: &str) -> String {
    let (_, peers) = region.split_once("peers ").expect("it has peers");
    let peer = peers.split(", ").find(|peer| !peer.contains("leads")).expect("three peers");
    peer.trim().rsplit(' ').next().expect("it is on a store").to_owned()
}

#[test]
fn a_script_runs_a_transaction_and_ends_at_the_first_error() {
    let playground = Playground::start();
    let done = playground.script(
        "# two accounts\ntxn begin\ntxn put alice 1\ntxn put 'b o b' 2\ntxn get alice\ntxn scan\ntxn commit\ntxn get 'b o b'\n",
    );
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{done:?}");
    assert!(
        said.contains("\n1\nalice = 1\nb o b = 2\nstarted at ") && said.ends_with("\n2\n"),
        "{said}"
    );

    // One of two that overlap comes too late, and hears so.
    let late = playground.script("txn begin\ntxn put alice 3\ntxn rollback\ntxn get alice\n");
    assert!(String::from_utf8_lossy(&late.stdout).ends_with("1 writes forgotten\n1\n"), "{late:?}");

    let wrong = playground.script("txn put x 1\nfly away\ntxn put x 2\n");
    let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && error.contains("line 2"), "{wrong:?}");
    assert_eq!(playground.says(&["txn", "get", "x"]), "1\n");

    let open = playground.script("txn begin\ntxn put x 9\n");
    let error = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(!open.status.success() && error.contains("never committed"), "{open:?}");
}

#[test]
fn a_complaint_names_the_thing_and_the_next_step() {
    let playground = Playground::start();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["region", "999"], &["999", "`region` alone"]),
        (&["txn", "begin"], &["without a command"]),
        (&["txn", "commit"], &["no transaction", "txn begin"]),
        (&["get", "\\q"], &["\\q", "\\xff"]),
        (&["transfer-leader", "999", "1"], &["999"]),
        (&["kill-store", "999"], &["999", "ctl store"]),
        (&["cut-link", "4", "4"], &["store 4"]),
        (&["fly"], &["fly"]),
    ];
    for (words, parts) in cases {
        let said = playground.complains(words);
        assert!(parts.iter().all(|part| said.contains(part)), "ctl {words:?}: {said}");
    }
    let nobody = super::running::tinykv()
        .args(["ctl", "--pd", "127.0.0.1:1", "store"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(said.contains("127.0.0.1:1") && said.contains("cargo playground"), "{said}");
}

#[test]
fn a_playground_ends_in_order_and_has_its_data_and_its_stores_again() {
    let data = TempDir::new().expect("there is room");
    let playground = Playground::start_in(data.path());
    playground.says(&["put", "greeting", "hello"]);
    playground.says(&["txn", "put", "alice", "100"]);
    let added = playground.says(&["add-store"]);
    assert!(added.starts_with("store ") && added.ends_with(" is new\n"), "{added}");
    assert!(playground.interrupt(), "ctrl-c did not end it well");

    let playground = Playground::start_in(data.path());
    assert_eq!(playground.says(&["get", "greeting"]), "hello\n");
    assert_eq!(playground.says(&["txn", "get", "alice"]), "100\n");
    assert_eq!(playground.says(&["store"]).lines().count(), 4);
}

#[test]
fn stores_die_and_links_break_and_the_data_is_there() {
    let playground = Playground::start();
    playground.wait_for_copies();
    playground.says(&["txn", "put", "alice", "100"]);
    let region = playground.says(&["region", "alice"]);
    let leader = region.split(" leads").next().and_then(|before| before.rsplit(' ').next());
    let leader = leader.expect("somebody leads").to_owned();
    let other = follower(&region);
    playground.says(&["kill-store", &leader]);
    // The other two have a majority.
    assert_eq!(playground.says(&["txn", "get", "alice"]), "100\n");
    playground.says(&["txn", "put", "alice", "200"]);
    let said = playground.complains(&["kill-store", &leader]);
    assert!(said.contains("does not run"), "{said}");
    playground.says(&["start-store", &leader]);
    playground.says(&["cut-link", &leader, &other]);
    assert_eq!(playground.says(&["txn", "get", "alice"]), "200\n");
    playground.says(&["mend-link", &leader, &other]);
    playground.says(&["stop-store", &leader]);
    playground.says(&["txn", "put", "alice", "300"]);
    assert_eq!(playground.says(&["txn", "get", "alice"]), "300\n");
}
