//! Calls: which request is answered by what.

use std::marker::PhantomData;

use prost::Message;
use proto::kvrpcpb;
use sim::failure::{Failure, Outcome};
use sim::rng::Rng;

use super::{Store, nonsense};
use crate::protocol::Trouble;

/// A call that can be made: a request with its type forgotten.
#[derive(Debug, Clone)]
pub struct Call {
    /// The RPC's name.
    pub method: &'static str,
    /// The encoded request.
    pub request: Vec<u8>,
    /// For people.
    pub text: String,
}

/// A request, and its response.
pub trait Responds: Message + std::fmt::Debug + Clone {
    /// The RPC's name.
    const METHOD: &'static str;
    /// Its response.
    type Response: Message + Default + std::fmt::Debug + Clone + PartialEq;

    /// As a call.
    fn call(&self) -> Call {
        Call {
            method: Self::METHOD,
            request: self.encode_to_vec(),
            text: format!("{} {self:?}", Self::METHOD),
        }
    }
}

macro_rules! calls {
    ($($method:literal $request:ident -> $response:ident),+ $(,)?) => {
        $(impl Responds for kvrpcpb::$request {
            const METHOD: &'static str = $method;
            type Response = kvrpcpb::$response;
        })+
    };
}

calls! {
    "KvGet" GetRequest -> GetResponse,
    "KvBatchGet" BatchGetRequest -> BatchGetResponse,
    "KvScan" ScanRequest -> ScanResponse,
    "KvPrewrite" PrewriteRequest -> PrewriteResponse,
    "KvCommit" CommitRequest -> CommitResponse,
    "KvBatchRollback" BatchRollbackRequest -> BatchRollbackResponse,
    "KvCleanup" CleanupRequest -> CleanupResponse,
    "KvPessimisticLock" PessimisticLockRequest -> PessimisticLockResponse,
    "KVPessimisticRollback" PessimisticRollbackRequest -> PessimisticRollbackResponse,
    "KvTxnHeartBeat" TxnHeartBeatRequest -> TxnHeartBeatResponse,
    "KvCheckTxnStatus" CheckTxnStatusRequest -> CheckTxnStatusResponse,
    "KvCheckSecondaryLocks" CheckSecondaryLocksRequest -> CheckSecondaryLocksResponse,
    "KvResolveLock" ResolveLockRequest -> ResolveLockResponse,
    "KvScanLock" ScanLockRequest -> ScanLockResponse,
    "KvGC" GcRequest -> GcResponse,
    "KvDeleteRange" DeleteRangeRequest -> DeleteRangeResponse,
    "UnsafeDestroyRange" UnsafeDestroyRangeRequest -> UnsafeDestroyRangeResponse,
}

/// Whoever answers calls: a store in the judge's hands, or a replicated one in a world.
pub trait Answers {
    /// One call, which must be answered with a response.
    ///
    /// # Errors
    /// When it is not.
    fn answered<Q: Responds>(&mut self, request: &Q) -> Outcome<Q::Response>;
    /// The generator of this run.
    fn luck(&mut self) -> &mut Rng;
    /// What it holds, for failure texts.
    ///
    /// # Errors
    /// When it cannot be looked into.
    fn holds(&mut self) -> Outcome<String>;
}

impl Answers for Store<'_, '_> {
    fn answered<Q: Responds>(&mut self, request: &Q) -> Outcome<Q::Response> {
        self.call(request)
    }

    fn luck(&mut self) -> &mut Rng {
        self.rng()
    }

    fn holds(&mut self) -> Outcome<String> {
        Ok(format!("the storage holds {}", crate::rows::show_rows(&self.rows()?)))
    }
}

/// A call that was begun.
#[derive(Debug)]
pub struct Pending<R> {
    number: u64,
    response: PhantomData<R>,
}

impl Store<'_, '_> {
    /// One call, with the gRPC status if that is its answer.
    ///
    /// # Errors
    /// As [`Store::in_memory`](super::Store::in_memory), and when the call waits.
    pub fn try_call<Q: Responds>(&mut self, request: &Q) -> Outcome<Result<Q::Response, Trouble>> {
        let number = self.begin(vec![request.call()])?[0];
        self.answer(number)?.ok_or_else(|| stuck(&request.call()))
    }

    /// One call, which must be answered with a response.
    ///
    /// # Errors
    /// As [`Store::try_call`], and when the answer is a gRPC status.
    pub fn call<Q: Responds>(&mut self, request: &Q) -> Outcome<Q::Response> {
        self.try_call(request)?.map_err(|status| status_instead(&request.call(), &status))
    }

    /// Begins one call.
    ///
    /// # Errors
    /// As [`Store::in_memory`](super::Store::in_memory).
    pub fn begin_one<Q: Responds>(&mut self, request: &Q) -> Outcome<Pending<Q::Response>> {
        let number = self.begin(vec![request.call()])?[0];
        Ok(Pending { number, response: PhantomData })
    }

    /// The response to a call that was begun, if there is one yet.
    ///
    /// # Errors
    /// As [`Store::in_memory`](super::Store::in_memory), and when the answer is a gRPC status.
    pub fn poll<R: Message + Default>(&mut self, pending: &Pending<R>) -> Outcome<Option<R>> {
        match self.answer(pending.number)? {
            None => Ok(None),
            Some(Ok(response)) => Ok(Some(response)),
            Some(Err(status)) => Err(Failure::broke(
                "a call ended in a gRPC status instead of a response",
                "the storage was well",
                format!("status: {}", status.text),
            )),
        }
    }

    /// Calls in one instant, in whatever order the seed says; all must be answered. The answers are bytes, in the
    /// order of the calls.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub fn race(&mut self, calls: Vec<Call>) -> Outcome<Vec<Raced>> {
        let numbers = self.begin(calls.clone())?;
        numbers
            .into_iter()
            .zip(calls)
            .map(|(number, call)| match self.answers.remove(&number) {
                None => Err(stuck(&call)),
                Some(Err(status)) => Err(status_instead(&call, &status)),
                Some(Ok(bytes)) => Ok(Raced(bytes.into_vec())),
            })
            .collect()
    }
}

/// An answer of a race.
pub struct Raced(Vec<u8>);

impl Raced {
    /// As the response that it is.
    ///
    /// # Errors
    /// When it is none.
    pub fn to<R: Message + Default>(&self) -> Outcome<R> {
        R::decode(&self.0[..]).map_err(|_| nonsense(None))
    }
}

fn stuck(call: &Call) -> Failure {
    Failure::broke(
        format!("a {} never ends", call.method),
        format!("asked: {}", short(&call.text)),
        "it waits, and nobody is left who could wake it",
    )
}

fn status_instead(call: &Call, status: &Trouble) -> Failure {
    Failure::broke(
        format!("{} ended in a gRPC status instead of a response", call.method),
        format!("asked:  {}", short(&call.text)),
        format!("status: {}", status.text),
    )
}

fn short(text: &str) -> String {
    match text.char_indices().nth(400) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
