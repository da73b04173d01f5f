//! BatchCommands: calls over one stream, as the Go client makes them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream;
use proto::kvrpcpb::{
    GetRequest, Mutation, Op, PessimisticLockRequest, PrewriteRequest, RawBatchScanRequest,
    RawCoprocessorRequest, RawGetRequest, RawPutRequest,
};
use proto::tikvpb::batch_commands_request::{Request, request::Cmd};
use proto::tikvpb::batch_commands_response::response::Cmd as Answer;
use proto::tikvpb::tikv_client::TikvClient;
use proto::tikvpb::{BatchCommandsEmptyRequest, BatchCommandsRequest, BatchCommandsResponse};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::process::Server;

/// How long an answer may take that should be there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream, and what came out of it.
struct Stream {
    commands: Option<UnboundedSender<BatchCommandsRequest>>,
    answers: Streaming<BatchCommandsResponse>,
    /// By number, in the order of their arrival.
    arrived: Vec<(u64, Option<Answer>)>,
}

impl Stream {
    async fn open(server: &Server) -> Stream {
        let addr = format!("http://{}", server.addr);
        let channel = Endpoint::from_shared(addr).unwrap().connect().await.unwrap();
        let (commands, mut waiting) = unbounded_channel();
        let answers = TikvClient::new(channel)
            .batch_commands(stream::poll_fn(move |context| waiting.poll_recv(context)))
            .await
            .unwrap()
            .into_inner();
        Stream { commands: Some(commands), answers, arrived: Vec::new() }
    }

    /// Sends one frame.
    fn send(&self, commands: impl IntoIterator<Item = (u64, Cmd)>) {
        let commands = commands.into_iter();
        let commands = commands.map(|(number, cmd)| (number, Request { cmd: Some(cmd) }));
        let (request_ids, requests) = commands.unzip();
        self.send_frame(BatchCommandsRequest { requests, request_ids });
    }

    /// Sends a frame as it is, also one that no client of sense would send.
    fn send_frame(&self, frame: BatchCommandsRequest) {
        self.commands.as_ref().expect("the stream is open").send(frame).expect("it is read");
    }

    /// The next frame; `None`: the stream has ended.
    async fn next(&mut self) -> Option<()> {
        let frame = timeout(PATIENCE, self.answers.message()).await.expect("an answer in time");
        let frame = frame.expect("the stream is well")?;
        assert_eq!(frame.request_ids.len(), frame.responses.len(), "one number an answer");
        let answers = frame.responses.into_iter().map(|answer| answer.cmd);
        self.arrived.extend(frame.request_ids.into_iter().zip(answers));
        Some(())
    }

    /// Reads until so many answers have arrived in all.
    async fn until(&mut self, count: usize) {
        while self.arrived.len() < count {
            self.next().await.expect("the stream goes on");
        }
    }

    fn answer(&self, number: u64) -> Option<&Answer> {
        let found: Vec<_> = self.arrived.iter().filter(|(n, _)| *n == number).collect();
        assert_eq!(found.len(), 1, "one answer to {number}");
        found[0].1.as_ref()
    }

    fn position(&self, number: u64) -> usize {
        self.arrived.iter().position(|(n, _)| *n == number).expect("it was answered")
    }
}

fn put(key: &str) -> Cmd {
    let (key, value) = (key.to_owned().into(), "v".into());
    Cmd::RawPut(RawPutRequest { key, value, ..Default::default() })
}

fn get(key: &str) -> Cmd {
    Cmd::RawGet(RawGetRequest { key: key.to_owned().into(), ..Default::default() })
}

fn empty(test_id: u64, delay_time: u64) -> Cmd {
    Cmd::Empty(BatchCommandsEmptyRequest { test_id, delay_time })
}

/// Numbers are the client's, whatever they are; each has one answer, of the kind that was asked for.
#[tokio::test]
async fn each_command_has_one_answer() {
    let server = Server::playground(None);
    let mut stream = Stream::open(&server).await;
    let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    stream.send((0..100).map(|n| (number(n), put(&format!("k{n}")))));
    stream.until(100).await;
    stream.send((0..100).map(|n| (number(1000 + n), get(&format!("k{n}")))));
    let start = 7 << 18;
    let prewrite = PrewriteRequest {
        mutations: vec![Mutation { op: Op::Put.into(), key: "t".into(), ..Default::default() }],
        primary_lock: "t".into(),
        start_version: start,
        lock_ttl: 60_000,
        ..Default::default()
    };
    stream.send([(1, Cmd::Prewrite(prewrite))]);
    stream.until(201).await;
    stream.send([
        (2, Cmd::Get(GetRequest { key: "t".into(), version: start + 1, ..Default::default() })),
        (3, empty(77, 0)),
    ]);
    stream.until(203).await;
    for n in 0..100 {
        assert!(matches!(stream.answer(number(n)), Some(Answer::RawPut(a)) if a.error.is_empty()));
        let got = stream.answer(number(1000 + n));
        assert!(matches!(got, Some(Answer::RawGet(a)) if a.value == "v"), "{got:?}");
    }
    assert!(matches!(stream.answer(1), Some(Answer::Prewrite(a)) if a.errors.is_empty()));
    let locked = stream.answer(2);
    let is_locked = |answer: &Answer| matches!(answer, Answer::Get(a) if a.error.as_ref().is_some_and(|e| e.locked.is_some()));
    assert!(locked.is_some_and(is_locked), "{locked:?}");
    assert!(matches!(stream.answer(3), Some(Answer::Empty(a)) if a.test_id == 77));
}

/// A command that waits, for a lock or for a time, holds up none that came behind it.
#[tokio::test]
async fn a_command_that_waits_is_overtaken() {
    let server = Server::playground(None);
    let mut stream = Stream::open(&server).await;
    let lock = |start: u64, wait_timeout| {
        Cmd::PessimisticLock(PessimisticLockRequest {
            mutations: vec![Mutation {
                op: Op::PessimisticLock.into(),
                key: "k".into(),
                ..Default::default()
            }],
            primary_lock: "k".into(),
            start_version: start << 18,
            for_update_ts: start << 18,
            lock_ttl: 60_000,
            wait_timeout,
            ..Default::default()
        })
    };
    stream.send([(1, lock(7, 0))]);
    stream.until(1).await;
    stream.send([(2, lock(8, 900)), (3, empty(0, 600)), (4, put("a")), (5, get("none"))]);
    stream.until(5).await;
    let place = |number| stream.position(number);
    assert!(
        place(4) < place(3) && place(5) < place(3) && place(3) < place(2),
        "{:?}",
        stream.arrived
    );
    let refused = stream.answer(2);
    let is_locked = |answer: &Answer| matches!(answer, Answer::PessimisticLock(a) if a.errors.iter().any(|e| e.locked.is_some()));
    assert!(refused.is_some_and(is_locked), "{refused:?}");
}

/// A command that nobody serves, one that says nothing, one that is wrong, one whose call would end in a status: each has
/// its answer, and so have the good ones beside and behind them.
#[tokio::test]
async fn a_bad_command_is_its_own_affair() {
    let server = Server::playground(None);
    let mut stream = Stream::open(&server).await;
    let ranges = vec![proto::kvrpcpb::KeyRange::default(); 30];
    let huge = RawBatchScanRequest { ranges, each_limit: 100, ..Default::default() };
    let value = vec![1; 3 << 20];
    let large = RawPutRequest { key: "large".into(), value: value.into(), ..Default::default() };
    stream.send([(1, Cmd::RawPut(large))]);
    stream.until(1).await;
    let colour = RawGetRequest { cf: "colour".into(), ..Default::default() };
    let commands = [
        None,
        Some(Cmd::RawCoprocessor(RawCoprocessorRequest::default())),
        Some(Cmd::RawGet(colour)),
        Some(Cmd::RawBatchScan(huge)),
        Some(put("good")),
    ];
    stream.send_frame(BatchCommandsRequest {
        requests: commands.map(|cmd| Request { cmd }).into(),
        request_ids: (2..7).collect(),
    });
    stream.until(6).await;
    assert_eq!((stream.answer(2), stream.answer(3), stream.answer(5)), (None, None, None));
    assert!(matches!(stream.answer(4), Some(Answer::RawGet(a)) if a.error.contains("colour")));
    // More numbers than commands, and the other way round: what has both is answered.
    let requests = vec![Request { cmd: Some(get("good")) }];
    stream.send_frame(BatchCommandsRequest { requests, request_ids: vec![7, 8, 9] });
    stream.send([(10, get("good"))]);
    stream.until(8).await;
    for number in [7, 10] {
        assert!(matches!(stream.answer(number), Some(Answer::RawGet(a)) if a.value == "v"));
    }
}

/// The client ends its half: what it has asked is answered first, then the stream ends.
#[tokio::test]
async fn the_stream_ends_after_the_last_answer() {
    let server = Server::playground(None);
    let mut stream = Stream::open(&server).await;
    stream.send((0..50).map(|n| (n, empty(n, 300))));
    stream.send((50..100).map(|n| (n, put(&format!("{n}")))));
    stream.commands = None;
    while stream.next().await.is_some() {}
    let numbers: BTreeMap<u64, _> = stream.arrived.into_iter().collect();
    assert_eq!(numbers.len(), 100);
}

/// So many commands of a stream are under way, and no more: the rest waits where it came from. And a server that ends does not wait for
/// a client that keeps its stream open.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_bounds() {
    // The service's own bound.
    const IN_FLIGHT: u64 = 256;
    let server = Server::playground(None);
    let mut stream = Stream::open(&server).await;
    let (slow, last) = (2 * IN_FLIGHT, 2 * IN_FLIGHT);
    stream.send((0..slow).map(|n| (n, empty(n, 700))));
    stream.send([(last, get("none"))]);
    stream.until(usize::try_from(slow).expect("small") + 1).await;
    // The first half had all the places, the second half was before it.
    let place = stream.position(last) as u64;
    assert!(place > IN_FLIGHT, "answered as number {place}");
    let ended = timeout(PATIENCE, tokio::task::spawn_blocking(|| server.terminate())).await;
    assert!(ended.expect("it ends in time").unwrap().success());
    assert_eq!(stream.next().await, None);
}
