//! Clients' calls: project 1's handlers over the replicated storage, on a seeded executor; and commands as they are
//! (`RaftCmd`), for tests that look at a single answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, RaftResponseHeader};
use raftkv::Refusal;
use raftkv::apply::Applied;
use raftkv::callback::callback;
use raftkv::storage::{Inbox, RaftStorage};
use raftkv::store::Request;
use serde_bytes::ByteBuf;
use sim::cluster::protocol::{Effect, Micros, Status};
use sim::executor::Executor;
use standalone::clock::{Clock, UnixSeconds};
use standalone::latches::Latches;
use standalone::raw::{RawApi, Response, respond};
use standalone::{Error, Result};

use super::store::Service;

type Asked = Arc<Mutex<Vec<(Request, Micros)>>>;
type Outcome = (u64, std::result::Result<ByteBuf, Status>);
type Ended = Arc<Mutex<Vec<Outcome>>>;

#[derive(Default)]
struct Seconds(AtomicU64);

impl Clock for Seconds {
    fn now(&self) -> UnixSeconds {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where the handlers of one call put what they ask of the store.
struct Desk {
    asked: Asked,
    deadline: Micros,
}

impl Inbox for Desk {
    async fn send(&self, request: Request) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((request, self.deadline));
    }
}

/// The calls of one life.
pub struct Calls {
    executor: Executor,
    latches: Latches,
    clock: Arc<Seconds>,
    asked: Asked,
    ended: Ended,
    /// Calls without an answer, and until when they must have one.
    open: BTreeMap<u64, Micros>,
}

impl Service for Calls {
    fn new(seed: u64) -> Self {
        Calls {
            executor: Executor::new(seed),
            latches: Latches::new(),
            clock: Arc::default(),
            asked: Asked::default(),
            ended: Ended::default(),
            open: BTreeMap::new(),
        }
    }

    fn set_now(&mut self, now: Micros) {
        self.clock.0.store(now / 1_000_000, Ordering::Relaxed);
    }

    fn begin(&mut self, id: u64, method: &str, bytes: &[u8], deadline: Micros) {
        let desk = Desk { asked: self.asked.clone(), deadline };
        let storage = Arc::new(RaftStorage::new(desk));
        let api = RawApi::new(storage, self.latches.clone(), self.clock.clone());
        self.open.insert(id, deadline);
        if method == "RaftCmd" {
            return self.command(id, bytes, deadline);
        }
        macro_rules! serve {
            ($($name:literal => $handler:ident),+) => {
                match method {
                    $($name => match Message::decode(bytes) {
                        Ok(request) => {
                            let ended = self.ended.clone();
                            self.executor.spawn(async move {
                                let result = answer(api.$handler(request).await);
                                ended.lock().unwrap_or_else(PoisonError::into_inner).push((id, result));
                            });
                        }
                        Err(error) => self.end(id, &error.to_string()),
                    },)+
                    _ => self.end(id, "no such method"),
                }
            };
        }
        serve!(
            "RawGet" => raw_get,
            "RawPut" => raw_put,
            "RawDelete" => raw_delete,
            "RawCompareAndSwap" => raw_compare_and_swap,
            "RawBatchGet" => raw_batch_get,
            "RawBatchPut" => raw_batch_put,
            "RawScan" => raw_scan
        );
    }

    fn run(&mut self) {
        self.executor.run(1_000_000);
    }

    fn take_asked(&self) -> Vec<(Request, Micros)> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    // A call that was answered before gets no second answer.
    fn take_effects(&mut self) -> Vec<Effect> {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = ended.into_iter().filter(|(id, _)| self.open.remove(id).is_some());
        ended.map(|(id, result)| Effect::Reply { id, result }).collect()
    }

    // Their handlers go on: a write that was begun must end, and holds its latches until then.
    fn take_overdue(&mut self, now: Micros) -> Vec<Effect> {
        let late: Vec<u64> =
            self.open.iter().filter(|(_, deadline)| **deadline <= now).map(|(id, _)| *id).collect();
        let too_late = |id: &u64| {
            let status = Status { definite: false, text: "no answer in time".into() };
            Effect::Reply { id: *id, result: Err(status) }
        };
        late.iter().filter(|id| self.open.remove(id).is_some()).map(too_late).collect()
    }
}

impl Calls {
    fn command(&mut self, id: u64, bytes: &[u8], deadline: Micros) {
        let request = match RaftCmdRequest::decode(bytes) {
            Ok(request) => Box::new(request),
            Err(error) => return self.end(id, &error.to_string()),
        };
        let (callback, applied) = callback::<Applied>();
        let asked = (Request::Write(request, callback), deadline);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let ended = self.ended.clone();
        self.executor.spawn(async move {
            let indefinite = |text: String| Err(Status { definite: false, text });
            let result = match applied.await {
                Some(Ok(response)) => Ok(response.encode_to_vec().into()),
                Some(Err(Refusal::Region(error))) => {
                    let header = RaftResponseHeader { error: Some(*error), ..Default::default() };
                    let response = RaftCmdResponse { header: Some(header), ..Default::default() };
                    Ok(response.encode_to_vec().into())
                }
                Some(Err(refusal)) if refusal.is_definite() => {
                    Err(Status { definite: true, text: refusal.to_string() })
                }
                Some(Err(refusal)) => indefinite(refusal.to_string()),
                None => indefinite("nobody knows".into()),
            };
            ended.lock().unwrap_or_else(PoisonError::into_inner).push((id, result));
        });
    }

    fn end(&mut self, id: u64, why: &str) {
        let status = Status { definite: true, text: why.to_owned() };
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push((id, Err(status)));
    }
}

fn answer<R: Response + Message>(result: Result<R>) -> std::result::Result<ByteBuf, Status> {
    match respond(result) {
        Ok(response) => Ok(response.encode_to_vec().into()),
        Err(error @ (Error::Io { .. } | Error::Corrupt { .. })) => {
            Err(Status { definite: false, text: error.to_string() })
        }
        Err(error) => Err(Status { definite: error.is_definite(), text: error.to_string() }),
    }
}
