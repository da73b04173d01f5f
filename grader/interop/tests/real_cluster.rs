//! Three real processes, the unmodified official client, and kill -9.
//!
//! Sixteen tasks write and read while one member after the other is killed and restarted. What they saw must be
//! linearizable, and what they were told is written must be there. Then one member stays down until the others have
//! cut their logs past its end, and must catch up by a snapshot; at last one loses its disk, and must not come back
//! under its old id.
//!
//! A few seconds of killing in a plain `cargo test`; the long run is
//!
//! ```text
//! REAL_CLUSTER_SECONDS=60 cargo test -p interop --test main -- real_cluster --nocapture
//! ```

use std::time::{Duration, Instant};

use interop::group::Group;
use tikv_client::RawClient;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::tasks::{Crew, Recorder, TASKS, all_from, connect};

/// How long a group may take to find its leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// Within this time what was written is synced, and the log is cut: a member syncs its data every second.
const CUT: Duration = Duration::from_secs(2);

/// What a member may use while another one is down, in bytes: its caches are 80 MiB, its journal is 16.
const MEMORY: u64 = 256 << 20;

/// A log so short that a member is soon too far behind.
const FLAGS: [&str; 2] = ["--log-entries", "1000"];

/// What `said` waits for, or a panic after a while.
async fn until(what: &str, mut said: impl FnMut() -> bool) {
    let waiting = async {
        while !said() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("still waiting: {what}"));
}

fn seconds() -> Duration {
    let wanted = std::env::var("REAL_CLUSTER_SECONDS").ok();
    Duration::from_secs(wanted.map_or(4, |text| text.parse().expect("a number of seconds")))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_under_kill_9() {
    let mut group = Group::start(3, &FLAGS);
    let recorder = Recorder::new();
    let crew = Crew::start(TASKS, group.addresses(), PATIENCE, &recorder).await;
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < seconds() {
        sleep(Duration::from_millis(700)).await;
        group.kill(kills % 3);
        sleep(Duration::from_millis(700)).await;
        group.revive(kills % 3);
        kills += 1;
    }
    crew.stop().await;
    let client = connect(group.addresses(), PATIENCE).await;
    let (ops, acknowledged) = recorder.judge(&client).await;
    println!("{kills} kills, {ops} operations linearizable, {acknowledged} other writes all there");
    assert!(acknowledged > 0, "nothing was written: the members' deaths stopped everything");

    catches_up_by_snapshot(&mut group, &client).await;
    is_refused_without_its_disk(&mut group, &client).await;
}

/// Member 3 is down until the others' logs begin behind its end. What it then has can only have come in a snapshot.
async fn catches_up_by_snapshot(group: &mut Group, client: &RawClient) {
    group.kill(2);
    for round in 0..60 {
        let mut writers = JoinSet::new();
        for n in 0..64 {
            let client = client.clone();
            let key = format!("missed/{:06}", round * 64 + n);
            writers.spawn(async move { client.put(key.clone(), format!("{key}{key:>200}")).await });
        }
        for written in writers.join_all().await {
            written.expect("two of three are a majority");
        }
    }
    for member in 0..2 {
        let used = group.resident(member).unwrap_or_default();
        assert!(used < MEMORY, "member {} keeps {used} bytes for one that is down", member + 1);
    }
    // All of it may have been written faster than data is synced, and a log is cut behind what is.
    sleep(CUT).await;
    let before = group.said(2).matches("snapshot installed").count();
    group.revive(2);
    until("a snapshot", || group.said(2).matches("snapshot installed").count() > before).await;

    // Member 2 misses the last write, so that only member 3 can lead these two; then its data is what is read.
    group.kill(1);
    let client = connect(group.addresses(), PATIENCE).await;
    client.put("last".to_owned(), "word").await.expect("two of three are a majority");
    group.kill(0);
    group.revive(1);
    let client = connect(group.addresses(), PATIENCE).await;
    assert_eq!(client.get("last".to_owned()).await.unwrap(), Some(b"word".to_vec()));
    assert_eq!(all_from(&client, "missed/").await.len(), 60 * 64);
    group.revive(0);
}

/// A voter that has lost its disk has forgotten its votes: the others do not let it in, it says why, and they go on.
async fn is_refused_without_its_disk(group: &mut Group, client: &RawClient) {
    group.kill(1);
    std::fs::remove_dir_all(group.disk(1)).expect("it has a disk");
    group.revive(1);
    assert!(!group.ended(1).success(), "a member on another disk must end with an error");
    let said = group.said(1);
    let refused = said.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(refused.contains("known by another disk"), "it must say why: {said}");
    client.put("after".to_owned(), "all").await.expect("two of three are a majority");
}
