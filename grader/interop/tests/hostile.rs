//! Bad input, from the network and from the disk: a clear error each, no panic, and the server
//! lives on.
//!
//! That it did not panic is checked where a [`Server`] is dropped. That it lives on is checked with
//! an official client, after the damage was done.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use interop::ours;
use proto::kvrpcpb::{
    KvPair, RawBatchGetRequest, RawBatchPutRequest, RawBatchScanRequest, RawCasRequest,
    RawDeleteRangeRequest, RawDeleteRequest, RawGetKeyTtlRequest, RawGetRequest, RawPutRequest,
    RawScanRequest,
};
use proto::tikvpb::tikv_client::TikvClient;
use standalone::Error;
use standalone::engine::{
    CF_DEFAULT, CF_WRITE, Direction, Durability, Engine, Options, WriteBatch,
};
use standalone::keys;
use tempfile::TempDir;
use tikv_client::RawClient;
use tonic::codegen::{Bytes, http};
use tonic::transport::{Channel, Endpoint};

use crate::process::Server;

/// Bytes that look random and are always the same.
pub struct Noise(pub u64);

impl Noise {
    /// A number below this one.
    pub fn draw(&mut self, below: usize) -> usize {
        // Knuth's linear congruential generator; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }

    /// So many bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.draw(256).to_le_bytes()[0]).collect()
    }
}

async fn lives_on(server: &Server) {
    let client = RawClient::new(vec![server.pd_addr.clone()]).await.expect("PD answers");
    client.put("alive".to_owned(), "yes").await.expect("the store writes");
    assert_eq!(client.get("alive".to_owned()).await.unwrap(), Some(b"yes".to_vec()));
}

async fn store(server: &Server) -> TikvClient<Channel> {
    let addr = format!("http://{}", server.addr);
    TikvClient::new(Endpoint::from_shared(addr).unwrap().connect().await.unwrap())
}

// Requests that are well-formed and wrong.

#[tokio::test]
async fn an_unknown_column_family_is_named_in_the_answer() {
    let server = Server::in_memory();
    let mut store = store(&server).await;
    let cf = || "colour".to_owned();
    let check = |said: &str| {
        assert!(said.contains("\"colour\"") && said.contains("\"write\""), "{said}");
    };
    macro_rules! texts {
        ($($method:ident($request:ident);)+) => {
            $(let request = $request { cf: cf(), ..Default::default() };
            check(&store.$method(request).await.unwrap().into_inner().error);)+
        };
    }
    texts! {
        raw_get(RawGetRequest);
        raw_put(RawPutRequest);
        raw_delete(RawDeleteRequest);
        raw_get_key_ttl(RawGetKeyTtlRequest);
        raw_compare_and_swap(RawCasRequest);
        raw_delete_range(RawDeleteRangeRequest);
        raw_batch_put(RawBatchPutRequest);
    }
    let in_first_pair = |pairs: Vec<KvPair>| check(&pairs[0].error.as_ref().unwrap().abort);
    let request = RawScanRequest { cf: cf(), ..Default::default() };
    in_first_pair(store.raw_scan(request).await.unwrap().into_inner().kvs);
    let request = RawBatchScanRequest { cf: cf(), ..Default::default() };
    in_first_pair(store.raw_batch_scan(request).await.unwrap().into_inner().kvs);
    let request = RawBatchGetRequest { cf: cf(), ..Default::default() };
    in_first_pair(store.raw_batch_get(request).await.unwrap().into_inner().pairs);
    lives_on(&server).await;
}

/// The official client's user is told which limit was passed, at once: it is no broken line, to be
/// tried again.
#[tokio::test]
async fn over_large_keys_and_values_are_refused_with_the_limit() {
    let server = Server::in_memory();
    let client = RawClient::new(vec![server.pd_addr.clone()]).await.unwrap();
    let said = client.put(vec![b'k'; 8193], "v").await.unwrap_err().to_string();
    assert!(said.contains("8193") && said.contains("8192"), "{said}");
    let said = client.get(vec![b'k'; 8193]).await.unwrap_err().to_string();
    assert!(said.contains("8193") && said.contains("8192"), "{said}");
    let said = client.put("k".to_owned(), vec![0; (3 << 20) + 1]).await.unwrap_err().to_string();
    assert!(said.contains("3145729") && said.contains("3145728"), "{said}");
    assert_eq!(client.get("k".to_owned()).await.unwrap(), None);
    client.put(vec![b'k'; 8192], vec![0; 3 << 20]).await.unwrap();
    assert!(client.get(vec![b'k'; 8192]).await.unwrap().is_some_and(|v| v.len() == 3 << 20));
    let said = client.put(vec![0xff; 9], "v").await;
    assert!(said.is_ok(), "below the tail region");
    let said = client.put(vec![0xff; 10], "v").await.unwrap_err().to_string();
    assert!(said.contains("reserved"), "{said}");
}

/// A request over the limit for whole requests has no response to put a text into: a status says
/// it.
#[tokio::test]
async fn an_over_large_request_gets_a_status() {
    let server = Server::in_memory();
    let mut store = store(&server).await;
    let request =
        RawPutRequest { key: "k".into(), value: vec![0; 65 << 20].into(), ..Default::default() };
    let status = store.raw_put(request).await.unwrap_err();
    assert!(status.message().contains("too large"), "{status:?}");
    lives_on(&server).await;
}

/// An answer that would not fit is refused as a whole, with a status that says what to do.
#[tokio::test]
async fn an_over_large_answer_gets_a_status() {
    let server = Server::in_memory();
    let mut store = store(&server).await;
    for n in 0..23_u8 {
        let request = RawPutRequest {
            key: vec![n].into(),
            value: vec![n; 3 << 20].into(),
            ..Default::default()
        };
        store.raw_put(request).await.unwrap();
    }
    let request = RawScanRequest { limit: 100, ..Default::default() };
    let status = store.raw_scan(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("fewer keys"), "{status:?}");
    lives_on(&server).await;
}

// Bytes that are no requests.

/// Sends bytes, says that there will be no more, and reads what comes until the server hangs up.
fn throw(addr: &str, bytes: &[u8]) {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The server may hang up in the middle: that is an answer, too.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = socket.read_to_end(&mut answer) {
        let kind = error.kind();
        assert_eq!(
            kind,
            std::io::ErrorKind::ConnectionReset,
            "the server neither spoke nor hung up"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_both_ports() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let server = Server::in_memory();
    let mut noise = Noise(1);
    let mut garbage: Vec<Vec<u8>> = [
        &b""[..],
        b"GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n",
        b"POST /tikvpb.Tikv/RawGet HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nxx",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client that believes in TLS",
        PREFACE,
        &PREFACE[..10],
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    // Frames: a length of three bytes, a type, flags, a stream, then the payload.
    let frame = |length: u32, kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let settings = frame(0, 4, 0, 0, b"");
    for frames in [
        frame(0x00ff_ffff, 0, 0, 1, b"a frame that declares sixteen mebibytes"),
        frame(0x00ff_ffff, 1, 4, 1, b""),
        frame(5, 1, 4, 1, b"\xff\xff\xff\xff\xff"),
        frame(100, 1, 4, 1, b"half a fra"),
        frame(4, 8, 0, 0, &u32::MAX.to_be_bytes()),
        frame(4, 8, 0, 0, &[0; 4]),
        frame(3, 4, 0, 0, b"abc"),
        frame(6, 4, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
        frame(4, 3, 0, 77, &[0; 4]),
        frame(8, 6, 0, 0, b"a ping").repeat(1000),
        frame(1, 9, 0, 1, b"x"),
        frame(0, 99, 255, u32::MAX, b""),
    ] {
        garbage.push([PREFACE, &settings, &frames].concat());
    }
    for round in 0..200 {
        let len = noise.draw(4096);
        let mut bytes = noise.bytes(len);
        if round % 2 == 0 {
            bytes = [PREFACE, &settings, &bytes].concat();
        }
        garbage.push(bytes);
    }
    for bytes in &garbage {
        throw(&server.addr, bytes);
        throw(&server.pd_addr, bytes);
    }
    lives_on(&server).await;
}

/// A gRPC message on the wire is a flag, a length, and so many bytes.
pub fn message(flag: u8, declared: u32, bytes: &[u8]) -> Bytes {
    [&[flag], &declared.to_be_bytes()[..], bytes].concat().into()
}

/// Sends a body to a method and reads the answer to its end. The status that it carried, if any.
pub async fn call(
    sender: &h2::client::SendRequest<Bytes>,
    path: &str,
    metadata: &[(&str, u64)],
    body: Bytes,
) -> Result<Option<String>, h2::Error> {
    let mut request = http::Request::post(format!("http://server{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, number) in metadata {
        request = request.header(*name, *number);
    }
    let request = request.body(()).expect("this is a request");
    let (response, mut sending) = sender.clone().ready().await?.send_request(request, false)?;
    // The server may have answered already, without a look at the body.
    let _ = sending.send_data(body, true);
    let (parts, mut answer) = response.await?.into_parts();
    while let Some(bytes) = answer.data().await {
        answer.flow_control().release_capacity(bytes?.len())?;
    }
    let trailers = answer.trailers().await?.unwrap_or_default();
    let status = parts.headers.get("grpc-status").or(trailers.get("grpc-status"));
    Ok(status.map(|status| status.to_str().expect("it is a number").to_owned()))
}

/// Every method that we have, and some that we do not, with bodies that are no messages: each call
/// ends with a status, on a connection that lives on.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_every_method() {
    let server = Server::in_memory();
    let mut noise = Noise(2);
    for (addr, package) in [(&server.addr, "tikvpb."), (&server.pd_addr, "pdpb.")] {
        let socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (sender, connection) = h2::client::handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let services = ours();
        let mut paths: Vec<String> = services
            .services()
            .filter(|service| service.full_name().starts_with(package))
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
            .collect();
        assert!(paths.len() > 20, "{paths:?}");
        paths.extend(["/", "/tikvpb.Tikv", "/tikvpb.Tikv/", "/a/b/c"].map(str::to_owned));
        for path in &paths {
            let mut bodies = vec![
                message(0, 0, b""),
                message(0, u32::MAX, b"four gibibytes were declared"),
                message(0, 100, b"a hundred were declared"),
                message(1, 4, b"abcd"),
                message(7, 4, b"abcd"),
                message(0, 3, &[0x0a, 0xff, 0xff]),
                Bytes::new(),
                Bytes::from_static(b"\0\0"),
            ];
            for _ in 0..20 {
                let len = noise.draw(200);
                let bytes = noise.bytes(len);
                bodies.push(message(0, u32::try_from(len).expect("it is small"), &bytes));
            }
            for body in bodies {
                let status = call(&sender, path, &[], body.clone()).await;
                let status = status.unwrap_or_else(|e| panic!("{path} {body:?}: {e}"));
                assert!(status.is_some(), "{path} {body:?}: no status");
            }
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    }
    lives_on(&server).await;
}

// Starting on what cannot be served.

/// The server with these arguments ends with code 1 and one sentence that has all of `parts`.
fn refuses(args: &[&str], parts: &[&str]) {
    let Err((status, said)) = Server::start(args) else { panic!("{args:?}: it serves") };
    assert_eq!(status.code(), Some(1), "{args:?}: {said}");
    assert!(
        said.starts_with("error: ") && said.trim_end().lines().count() == 1,
        "{args:?}: {said}"
    );
    for part in parts {
        assert!(said.contains(part), "{args:?}: {part:?} is missing in: {said}");
    }
    assert!(!said.contains("panicked"), "{args:?}: {said}");
}

#[test]
fn a_data_directory_that_is_none() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    refuses(&["--data", &text(&file)], &[&text(&file), "not a directory", "give --data"]);
    let below = text(&file.join("below"));
    refuses(&["--data", &below], &[&below, "cannot be used", "another directory"]);
    // Not even root may write there.
    #[cfg(target_os = "linux")]
    refuses(&["--data", "/proc/tinykv"], &["/proc/tinykv", "cannot be used", "make it writable"]);
    let taken = dir.path().join("taken");
    fs::create_dir_all(taken.join("kv.redb")).unwrap();
    refuses(&["--data", &text(&taken)], &["kv.redb", "cannot be used"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a directory", "it was left alone");
}

/// The power went while the very first file was being made: what is left of it is no database, and nobody was
/// promised anything, so the next start makes a new one.
#[tokio::test]
async fn what_is_left_of_a_first_start_that_was_cut() {
    let data = TempDir::new().unwrap();
    fs::write(data.path().join("kv.new"), "half a header").unwrap();
    let server = Server::on(&data);
    lives_on(&server).await;
    assert!(!data.path().join("kv.new").exists(), "it was left behind");
}

#[tokio::test]
async fn a_second_server_on_one_directory() {
    let data = TempDir::new().unwrap();
    let server = Server::on(&data);
    let path = data.path().to_str().unwrap();
    refuses(&["--data", path], &[path, "in use by another process", "another directory"]);
    lives_on(&server).await;
}

#[tokio::test]
async fn addresses_that_cannot_be_had() {
    let server = Server::in_memory();
    for (flag, addr) in [("--addr", &server.addr), ("--pd-addr", &server.pd_addr)] {
        refuses(&[flag, addr], &["cannot listen on", addr, flag, "port 0"]);
    }
    for addr in ["0.0.0.0:0", "127.0.0.1", "127.0.0.1:99999", ""] {
        refuses(&["--addr", addr], &["cannot listen on", addr, "--addr"]);
    }
    lives_on(&server).await;
}

// A database that was damaged.

const FILE: &str = "kv.redb";
const ROUNDS: usize = 10;

/// A database of ten commits, each of a hundred keys in two column families: its bytes after it was
/// closed in order, or those that a kill -9 would have left.
fn database(closed: bool) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let engine = Engine::open(dir.path(), FILE, &Options::default()).unwrap();
    for round in 0..ROUNDS {
        let mut batch = WriteBatch::new();
        for n in in_round(round) {
            batch.put(CF_DEFAULT, key(n), value(n));
            batch.put(CF_WRITE, key(n), value(n));
        }
        engine.write(&batch, Durability::Immediate).unwrap();
    }
    let read = || fs::read(dir.path().join(FILE)).unwrap();
    if closed {
        drop(engine);
        read()
    } else {
        read()
    }
}

/// Each commit touches pages all over the tree.
fn in_round(round: usize) -> impl Iterator<Item = usize> {
    (round..1000).step_by(ROUNDS)
}

fn key(n: usize) -> Vec<u8> {
    keys::raw_key(format!("key{n:04}").as_bytes())
}

fn value(n: usize) -> Vec<u8> {
    format!("the value of {n}").into_bytes().repeat(3)
}

/// Opens a file of these bytes: how many of the ten commits are in it, each of them whole.
fn commits(bytes: &[u8]) -> Result<usize, Error> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FILE), bytes).unwrap();
    let engine = Engine::open(dir.path(), FILE, &Options::default())?;
    let snapshot = engine.snapshot()?;
    let everything = || keys::raw_range(b"", b"");
    let found = snapshot.measure(CF_DEFAULT, everything(), u64::MAX)?.keys;
    let rounds = usize::try_from(found).expect("it is small") / 100;
    for cf in [CF_DEFAULT, CF_WRITE] {
        let mut expected: Vec<usize> = (0..rounds).flat_map(in_round).collect();
        expected.sort_unstable();
        let mut cursor = snapshot.cursor(cf, everything(), Direction::Forward)?;
        for n in expected {
            assert!(cursor.advance()?, "{cf}: key {n} is missing");
            assert_eq!((cursor.key(), cursor.value()), (&key(n)[..], &value(n)[..]), "{cf}");
        }
        assert!(!cursor.advance()?, "{cf}: a key too many");
    }
    Ok(rounds)
}

/// Every kind of damage, all over the file.
fn damage(healthy: &[u8], mut check: impl FnMut(&str, &[u8])) {
    let len = healthy.len();
    let with = |range: std::ops::Range<usize>, change: fn(u8) -> u8| {
        let mut bytes = healthy.to_vec();
        bytes[range].iter_mut().for_each(|byte| *byte = change(*byte));
        bytes
    };
    // The header is in the first page.
    for at in (0..4096).step_by(31).chain((4096..len).step_by(1511)) {
        check(&format!("byte {at} flipped"), &with(at..at + 1, |byte| byte ^ 0x41));
    }
    for at in (1..len).step_by(50_021) {
        check(&format!("zero from {at}"), &with(at..len, |_| 0));
        check(&format!("zero up to {at}"), &with(0..at, |_| 0));
        check(&format!("a page of ff at {at}"), &with(at..len.min(at + 4096), |_| 0xff));
        check(&format!("cut at {at}"), &healthy[..at]);
    }
    check("empty", b"");
}

/// A database that was closed in order is opened as it was, or refused as corrupt.
#[test]
fn a_damaged_file_is_right_or_refused() {
    let healthy = database(true);
    assert_eq!(commits(&healthy).unwrap(), ROUNDS);
    let (mut right, mut refused) = (0, 0);
    damage(&healthy, |what, bytes| match commits(bytes) {
        Ok(commits) => {
            assert_eq!(commits, ROUNDS, "{what}");
            right += 1;
        }
        Err(Error::Corrupt { .. }) => refused += 1,
        Err(error) => panic!("{what}: {error}"),
    });
    assert!(right > 0 && refused > 0, "the damage hit used and unused pages: {right}, {refused}");
}

/// After a kill -9, damage in the last commit looks like a commit that was torn by the crash: the
/// one before it is then the answer, as a whole.
#[test]
fn a_damaged_file_after_a_crash_is_some_commit_or_refused() {
    let healthy = database(false);
    assert_eq!(commits(&healthy).unwrap(), ROUNDS);
    damage(&healthy, |what, bytes| match commits(bytes) {
        Ok(commits) => assert!(commits >= ROUNDS - 1, "{what}: {commits}"),
        Err(Error::Corrupt { .. }) => {}
        Err(error) => panic!("{what}: {error}"),
    });
}

/// What the operator sees.
#[test]
fn a_corrupt_database_file() {
    let healthy = database(true);
    let mut no_magic = healthy.clone();
    no_magic[0] ^= 0xff;
    let mut other_values = healthy.clone();
    let is_value = |at: &usize| healthy[*at..].starts_with(b"the value");
    (0..healthy.len()).filter(is_value).for_each(|at| other_values[at] = b'T');
    for bytes in [
        no_magic,
        other_values,
        healthy[..healthy.len() / 2].to_vec(),
        vec![0; healthy.len()],
        b"this is a letter".to_vec(),
        Vec::new(),
    ] {
        let data = TempDir::new().unwrap();
        let file = data.path().join(FILE);
        fs::write(&file, bytes).unwrap();
        let parts = [file.to_str().unwrap(), "is corrupt", "restore it from a copy"];
        refuses(&["--data", data.path().to_str().unwrap()], &parts);
    }
}
