//! The official client's raw API, unmodified, over real sockets, against the real binary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tikv_client::{ColumnFamily, Key, KvPair, RawClient, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::process::Server;

async fn connect(server: &Server) -> RawClient {
    RawClient::new(vec![server.pd_addr.clone()]).await.expect("the official client connects")
}

async fn served() -> (Server, RawClient) {
    let server = Server::in_memory();
    let client = connect(&server).await;
    (server, client)
}

fn plain(pairs: Vec<KvPair>) -> Vec<(String, Value)> {
    pairs.into_iter().map(|KvPair(key, value)| (text(key), value)).collect()
}

fn text(key: Key) -> String {
    String::from_utf8(key.into()).expect("the tests' keys are text")
}

fn key(n: usize) -> String {
    format!("key{n:06}")
}

fn value(n: usize) -> Vec<u8> {
    format!("value of {n}").into_bytes()
}

#[tokio::test]
async fn put_get_delete() {
    let (_server, client) = served().await;
    assert_eq!(client.get("k".to_owned()).await.unwrap(), None);
    client.put("k".to_owned(), "v").await.unwrap();
    assert_eq!(client.get("k".to_owned()).await.unwrap(), Some(b"v".to_vec()));
    client.put("k".to_owned(), "w").await.unwrap();
    assert_eq!(client.get("k".to_owned()).await.unwrap(), Some(b"w".to_vec()));
    client.delete("k".to_owned()).await.unwrap();
    assert_eq!(client.get("k".to_owned()).await.unwrap(), None);
    client.delete("k".to_owned()).await.unwrap();
}

#[tokio::test]
async fn an_empty_value_is_not_an_absent_one_and_an_empty_key_is_a_key() {
    let (_server, client) = served().await;
    client.put("k".to_owned(), "").await.unwrap();
    assert_eq!(client.get("k".to_owned()).await.unwrap(), Some(Vec::new()));
    client.put(String::new(), "at the empty key").await.unwrap();
    assert_eq!(client.get(String::new()).await.unwrap(), Some(b"at the empty key".to_vec()));
    let first = client.scan(String::new().."z".to_owned(), 1);
    assert_eq!(plain(first.await.unwrap()), [(String::new(), b"at the empty key".to_vec())]);
}

#[tokio::test]
async fn batches() {
    let (_server, client) = served().await;
    client.batch_put((0..100).map(|n| (key(n), value(n)))).await.unwrap();
    let wanted = [key(99), "absent".into(), key(3), key(50)];
    let mut found = plain(client.batch_get(wanted).await.unwrap());
    found.sort();
    assert_eq!(found, [3, 50, 99].map(|n| (key(n), value(n))));
    client.batch_delete((0..100).filter(|n| n % 10 != 0).map(key)).await.unwrap();
    let left = client.scan_keys(key(0)..key(100), 100).await.unwrap();
    let left: Vec<String> = left.into_iter().map(text).collect();
    assert_eq!(left, (0..100).step_by(10).map(key).collect::<Vec<_>>());
}

/// Ten thousand keys, in every way that a client can walk over them. A scan whose limit is not
/// reached is the one that goes on into the next region, so each of them is here with a limit that
/// is too large.
#[tokio::test]
async fn scans_over_ten_thousand_keys() {
    const ALL: usize = 10_000;
    let (_server, client) = served().await;
    client.batch_put((0..ALL).map(|n| (key(n), value(n)))).await.unwrap();
    let all = || key(0)..key(ALL);
    let pairs =
        |from: usize, to: usize| -> Vec<_> { (from..to).map(|n| (key(n), value(n))).collect() };
    let backwards = |from: usize, to: usize| -> Vec<_> {
        (from..to).rev().map(|n| (key(n), value(n))).collect()
    };
    let keys = |keys: Vec<Key>| -> Vec<_> { keys.into_iter().map(text).collect() };

    let found = plain(client.scan(all(), 10_240).await.unwrap());
    assert!(found == pairs(0, ALL), "a scan of everything finds each pair once, in order");
    assert_eq!(plain(client.scan(all(), 7).await.unwrap()), pairs(0, 7));
    assert_eq!(plain(client.scan(key(500)..key(510), 100).await.unwrap()), pairs(500, 510));
    assert_eq!(plain(client.scan(key(500)..=key(510), 100).await.unwrap()), pairs(500, 511));
    assert_eq!(plain(client.scan("x".to_owned().."y".to_owned(), 100).await.unwrap()), []);
    let unbounded = plain(client.scan(key(9_990).., 100).await.unwrap());
    assert_eq!(unbounded, pairs(9_990, ALL));

    let found = plain(client.scan_reverse(all(), 10_240).await.unwrap());
    assert!(found == backwards(0, ALL), "a reverse scan finds each pair once, backwards");
    assert_eq!(plain(client.scan_reverse(all(), 3).await.unwrap()), backwards(9_997, ALL));
    let found = plain(client.scan_reverse(key(20)..key(30), 100).await.unwrap());
    assert_eq!(found, backwards(20, 30));

    let found = keys(client.scan_keys(all(), 10_240).await.unwrap());
    assert!(found == (0..ALL).map(key).collect::<Vec<_>>(), "keys alone, each once");
    let found = keys(client.scan_keys_reverse(key(5)..key(8), 10).await.unwrap());
    assert_eq!(found, [7, 6, 5].map(key));

    let ranges = [key(10)..key(15), key(9_000)..key(9_002), key(3)..key(3)];
    let found = client.batch_scan(ranges, 3).await.unwrap();
    assert_eq!(plain(found), [pairs(10, 13), pairs(9_000, 9_002)].concat());
    let ranges = [key(1)..key(2), key(0)..key(2)];
    let found = client.batch_scan_keys(ranges, 9).await.unwrap();
    assert_eq!(keys(found), [1, 0, 1].map(key));
}

#[tokio::test]
async fn delete_range_removes_its_range_and_nothing_else() {
    let (_server, client) = served().await;
    client.batch_put((0..100).map(|n| (key(n), value(n)))).await.unwrap();
    client.delete_range(key(10)..key(90)).await.unwrap();
    let left = plain(client.scan(key(0)..key(1000), 1000).await.unwrap());
    assert_eq!(left, (0..10).chain(90..100).map(|n| (key(n), value(n))).collect::<Vec<_>>());
    client.delete_range(key(95)..).await.unwrap();
    let left = plain(client.scan(key(90)..key(1000), 1000).await.unwrap());
    assert_eq!(left, (90..95).map(|n| (key(n), value(n))).collect::<Vec<_>>());
}

#[tokio::test]
async fn compare_and_swap() {
    let (_server, client) = served().await;
    let client = client.with_atomic_for_cas();
    let k = || "k".to_owned();
    let v = |text: &str| text.as_bytes().to_vec();
    assert_eq!(client.compare_and_swap(k(), v("x"), "a").await.unwrap(), (None, false));
    assert_eq!(client.compare_and_swap(k(), None, "a").await.unwrap(), (None, true));
    assert_eq!(client.compare_and_swap(k(), None, "b").await.unwrap(), (Some(v("a")), false));
    assert_eq!(client.compare_and_swap(k(), v("a"), "b").await.unwrap(), (Some(v("a")), true));
    assert_eq!(client.get(k()).await.unwrap(), Some(v("b")));
    client.put(k(), "c").await.unwrap();
    assert_eq!(client.compare_and_swap(k(), v("b"), "d").await.unwrap(), (Some(v("c")), false));
    client.delete(k()).await.unwrap();
    assert_eq!(client.compare_and_swap(k(), None, "e").await.unwrap(), (None, true));
}

/// Eight clients, each of which adds 25 by reading, adding one, and swapping: no addition is lost.
#[tokio::test(flavor = "multi_thread")]
async fn compare_and_swap_makes_a_counter() {
    let (server, client) = served().await;
    client.put("n".to_owned(), "0").await.unwrap();
    let mut adders = JoinSet::new();
    for _ in 0..8 {
        let client = connect(&server).await.with_atomic_for_cas();
        adders.spawn(async move {
            let mut done = 0;
            while done < 25 {
                let old = client.get("n".to_owned()).await.unwrap().unwrap();
                let n: u64 = String::from_utf8(old.clone()).unwrap().parse().unwrap();
                let new = (n + 1).to_string();
                let (_, swapped) = client.compare_and_swap("n".to_owned(), old, new).await.unwrap();
                done += u32::from(swapped);
            }
        });
    }
    adders.join_all().await;
    assert_eq!(client.get("n".to_owned()).await.unwrap(), Some(b"200".to_vec()));
}

#[tokio::test]
async fn column_families_are_spaces_of_their_own() {
    let (_server, client) = served().await;
    let families = [ColumnFamily::Default, ColumnFamily::Lock, ColumnFamily::Write];
    let clients = families.map(|cf| client.with_cf(cf));
    for (n, client) in clients.iter().enumerate() {
        client.put("k".to_owned(), value(n)).await.unwrap();
    }
    for (n, client) in clients.iter().enumerate() {
        assert_eq!(client.get("k".to_owned()).await.unwrap(), Some(value(n)));
        let found = client.scan("a".to_owned().."z".to_owned(), 10).await.unwrap();
        assert_eq!(plain(found), [("k".to_owned(), value(n))]);
    }
    clients[1].delete_range("a".to_owned().."z".to_owned()).await.unwrap();
    assert_eq!(clients[1].get("k".to_owned()).await.unwrap(), None);
    assert_eq!(client.get("k".to_owned()).await.unwrap(), Some(value(0)), "no cf is default");
    assert_eq!(clients[2].get("k".to_owned()).await.unwrap(), Some(value(2)));
}

/// A value that lives for a second is asked for until it is gone; the machine's clock decides.
#[tokio::test]
async fn values_expire() {
    let (_server, client) = served().await;
    client.put("for ever".to_owned(), "v").await.unwrap();
    assert_eq!(client.get_key_ttl_secs("for ever".to_owned()).await.unwrap(), Some(0));
    client.put_with_ttl("long".to_owned(), "v", 1000).await.unwrap();
    let ttl = client.get_key_ttl_secs("long".to_owned()).await.unwrap();
    assert!(ttl.is_some_and(|ttl| (900..=1000).contains(&ttl)), "{ttl:?}");
    client
        .batch_put_with_ttl([("b1".to_owned(), "v"), ("b2".to_owned(), "v")], [1000, 0])
        .await
        .unwrap();
    assert!(client.get_key_ttl_secs("b1".to_owned()).await.unwrap().unwrap() > 0);
    assert_eq!(client.get_key_ttl_secs("b2".to_owned()).await.unwrap(), Some(0));

    client.put_with_ttl("short".to_owned(), "v", 1).await.unwrap();
    while client.get("short".to_owned()).await.unwrap().is_some() {}
    assert_eq!(client.get_key_ttl_secs("short".to_owned()).await.unwrap(), None);
    assert_eq!(client.scan_keys("short".to_owned().."shoru".to_owned(), 9).await.unwrap(), []);
}

#[tokio::test]
async fn values_of_a_mebibyte() {
    let (_server, client) = served().await;
    let large = |n: u8| vec![n; 1 << 20];
    for n in 0..8 {
        client.put(key(n.into()), large(n)).await.unwrap();
    }
    for n in 0..8 {
        assert!(client.get(key(n.into())).await.unwrap() == Some(large(n)));
    }
    // Just under the four mebibytes that the client accepts in one answer.
    let found = plain(client.scan(key(0)..key(9), 3).await.unwrap());
    assert!(found == [0, 1, 2].map(|n| (key(n.into()), large(n))));
}

/// Sixty-four clients' worth of writes at once, all of them acknowledged, all of them there.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once() {
    let data = TempDir::new().unwrap();
    let server = Server::on(&data);
    let client = connect(&server).await;
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let client = client.clone();
        writers.spawn(async move {
            for n in 0..10 {
                client.put(key(writer * 10 + n), value(n)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    assert_eq!(client.scan_keys(key(0)..key(640), 1000).await.unwrap().len(), 640);
}

/// What a writer knows about one key: the last number that was acknowledged, and the last that was
/// sent.
type Known = BTreeMap<String, (usize, usize)>;

/// Five times: eight writers go on and on, and after some acknowledgements the server is killed.
/// After the restart each key has a number that is not below the acknowledged one, nor above the
/// sent one.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let data = TempDir::new().unwrap();
    let known = Arc::new(Mutex::new(Known::new()));
    for acknowledgements in [1, 40, 90, 170, 260] {
        let server = Server::on(&data);
        let client = connect(&server).await;
        check(&client, &known).await;

        let (acknowledged, mut seen) = mpsc::unbounded_channel();
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let (client, known) = (client.clone(), known.clone());
            let acknowledged = acknowledged.clone();
            writers.spawn(async move {
                for n in 1.. {
                    let key = format!("writer{writer}/{}", n % 20);
                    let number = {
                        let mut known = known.lock().unwrap();
                        let (_, sent) = known.entry(key.clone()).or_default();
                        *sent += 1;
                        *sent
                    };
                    let written = if n % 3 == 0 {
                        client.batch_put([(key.clone(), number.to_string())]).await
                    } else {
                        client.put(key.clone(), number.to_string()).await
                    };
                    // The server was killed under it: whether this write happened is unknown.
                    if written.is_err() {
                        return;
                    }
                    known.lock().unwrap().get_mut(&key).unwrap().0 = number;
                    let _ = acknowledged.send(());
                }
            });
        }
        drop(acknowledged);
        for _ in 0..acknowledgements {
            seen.recv().await.expect("the writers go on until the server is killed");
        }
        server.kill();
        // The client would try again for seconds, and there is nobody to answer.
        writers.shutdown().await;
    }
    let server = Server::on(&data);
    check(&connect(&server).await, &known).await;
    assert!(server.terminate().success());
}

async fn check(client: &RawClient, known: &Mutex<Known>) {
    let known = known.lock().unwrap().clone();
    let (all, mut wrong) = (known.len(), Vec::new());
    for (key, (acknowledged, sent)) in known {
        let found = client.get(key.clone()).await.unwrap();
        let found = found.map_or(0, |v| String::from_utf8(v).unwrap().parse::<usize>().unwrap());
        if !(acknowledged..=sent).contains(&found) {
            wrong.push(format!("{key} is {found}; {acknowledged} was acknowledged, {sent} sent"));
        }
    }
    // One alone, or the last commit of all writers: that tells where to look.
    assert!(wrong.is_empty(), "after the restart, of {all} keys:\n{}", wrong.join("\n"));
}

/// A graceful end answers what it accepted, and the data is there at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn terminate_and_start_again() {
    let data = TempDir::new().unwrap();
    let server = Server::on(&data);
    let client = connect(&server).await;
    client.batch_put((0..1000).map(|n| (key(n), value(n)))).await.unwrap();
    // The client is still connected, with its stream of timestamps open: that must not hold anybody
    // up.
    assert!(server.terminate().success());
    let server = Server::on(&data);
    let found = connect(&server).await.scan(key(0)..key(1000), 1000).await.unwrap();
    assert_eq!(plain(found), (0..1000).map(|n| (key(n), value(n))).collect::<Vec<_>>());
}

/// The last region ends where the first begins, at the empty key, and a scan that goes on there would read everything again. So it is told.
/// (Nothing is lost: no key can be there.)
#[tokio::test]
async fn a_scan_that_ends_in_the_last_region_is_refused_and_not_repeated() {
    let (_server, client) = served().await;
    let keys = ["k1", "k2"].map(str::to_owned);
    client.batch_put(keys.clone().map(|key| (key, "v"))).await.unwrap();
    let up_to = |end: usize, limit| client.scan(Vec::new()..vec![0xff; end], limit);
    for (end, limit) in [(8, 100), (20, 2)] {
        let found = up_to(end, limit).await.unwrap();
        assert_eq!(plain(found).into_iter().map(|(key, _)| key).collect::<Vec<_>>(), keys);
    }
    for limit in [3, 10_000] {
        let said = up_to(20, limit).await.unwrap_err().to_string();
        assert!(said.contains("a lower end"), "{said}");
    }
    assert_eq!(client.scan(Vec::new().., 100).await.unwrap().len(), 2, "without an end");
}
