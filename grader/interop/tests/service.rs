//! The store's service, without a network: what happens to a call whose client has gone, and which
//! status says what no response has a place for.

use std::sync::Arc;

use futures_util::poll;
use proto::kvrpcpb::{Context, RawCasRequest, RawGetRequest, RawPutRequest};
use proto::tikvpb::tikv_server::Tikv as _;
use standalone::latches::Latches;
use standalone::raw::RawApi;
use standalone::server::{SystemClock, TikvService};
use standalone::storage::{MemReader, MemStorage};
use standalone::{Error, Modify, Result, Storage};
use tokio::sync::Semaphore;
use tonic::{Code, Request};

/// A storage in memory whose writes say that they have begun, and wait for permission to end.
#[derive(Default)]
struct Gated {
    memory: MemStorage,
    entered: Gate,
    permits: Gate,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Gate(Semaphore::new(0))
    }
}

impl Gate {
    fn open(&self) {
        self.0.add_permits(1);
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Storage for Gated {
    type Reader = MemReader;

    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<()> {
        self.entered.open();
        self.permits.pass().await;
        self.memory.write(context, batch).await
    }

    async fn reader(&self, context: &Context) -> Result<MemReader> {
        self.memory.reader(context).await
    }
}

/// A client swaps "absent" for `a` and hangs up while that is on its way to the disk. The next one
/// that swaps "absent" for `b` must wait, and then find `a`: else `b` overwrites a swap that it
/// never saw.
#[tokio::test]
async fn a_client_that_hangs_up_does_not_let_go_of_its_latch() {
    let storage = Arc::new(Gated::default());
    let raw = RawApi::new(storage.clone(), Latches::new(), Arc::new(SystemClock));
    let service = TikvService::new(raw);
    let swap = |value: &'static str| {
        Request::new(RawCasRequest {
            key: "k".into(),
            value: value.into(),
            previous_not_exist: true,
            ..Default::default()
        })
    };

    let mut first = service.raw_compare_and_swap(swap("a"));
    assert!(poll!(first.as_mut()).is_pending());
    storage.entered.pass().await;
    drop(first);

    let mut second = service.raw_compare_and_swap(swap("b"));
    assert!(poll!(second.as_mut()).is_pending());
    // Two permits: if the second wrote as well, it would not have to wait.
    storage.permits.open();
    storage.permits.open();
    let answer = second.await.unwrap().into_inner();
    assert!(!answer.succeed, "the first swap was on its way, and the second did not see it");
    assert_eq!(answer.previous_value, "a");
}

/// A storage that fails.
struct Broken(Error);

impl Storage for Broken {
    type Reader = MemReader;

    async fn write(&self, _: &Context, _: Vec<Modify>) -> Result<()> {
        Err(self.0.clone())
    }

    async fn reader(&self, _: &Context) -> Result<MemReader> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn local_damage_is_a_status() {
    let corrupt = Error::Corrupt { file: "kv.redb".into(), what: "a checksum".into() };
    let failed = Error::Io { doing: "commit a batch", what: "no space left".into() };
    for (error, code) in [(corrupt, Code::DataLoss), (failed, Code::Unavailable)] {
        let storage = Arc::new(Broken(error.clone()));
        let raw = RawApi::new(storage, Latches::new(), Arc::new(SystemClock));
        let service = TikvService::new(raw);
        let read = service.raw_get(Request::new(RawGetRequest::default())).await.unwrap_err();
        let write = service.raw_put(Request::new(RawPutRequest::default())).await.unwrap_err();
        for status in [read, write] {
            assert_eq!((status.code(), status.message()), (code, &error.to_string()[..]));
        }
    }
}
