//! BatchCommands: many calls over one stream, answered in the order in which they are done.
//!
//! The Go client sends all its calls this way: one HTTP/2 stream for a connection in place of one for each call, and calls that are ready
//! in the same moment share a frame. An answer is found by its number. So a call that waits for a lock holds up none that came
//! behind it.
//!
//! Each command goes the way of its unary call. What would have been a gRPC status there has no place in an answer here,
//! and must not end the stream, which belongs to others, too: it is an answer without content, as is that to a command that
//! we do not know. The client takes that as a failed call, and asks again. (TiKV does not answer then, so that its client waits in vain.)
//!
//! # Bounds
//!
//! [`IN_FLIGHT`] commands of a stream are under way at most. Further ones are not read from the stream until there
//! is room, and HTTP/2 then stops the client. An answer that the client does not read keeps its place.
//!
//! The stream ends when the client has ended its half and the last answer is out, or with the server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use proto::tikvpb::batch_commands_request::request::Cmd;
use proto::tikvpb::batch_commands_response::{Response as Answer, response::Cmd as Answered};
use proto::tikvpb::tikv_server::Tikv as _;
use proto::tikvpb::{BatchCommandsEmptyResponse, BatchCommandsRequest, BatchCommandsResponse};
use standalone::Storage;
use standalone::server::Stop;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;
use tonic::codegen::BoxStream;
use tonic::{Request, Streaming};

use super::service::TxnService;

/// Commands of one stream that may be under way; more wait in the network.
const IN_FLIGHT: usize = 256;

/// Answers that may share a frame.
const TOGETHER: usize = 64;

/// The longest delay that an empty command may ask for.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// A numbered answer.
type Numbered = (u64, Answer);

/// The answers to a stream of commands. Must be called on a tokio runtime.
pub(super) fn serve<S: Storage>(
    service: TxnService<S>,
    commands: Streaming<BatchCommandsRequest>,
    stop: Stop,
) -> BoxStream<BatchCommandsResponse> {
    // Room for one frame: who finds none waits, with its permit.
    let (done, answers) = mpsc::channel(TOGETHER);
    tokio::spawn(take_in(service, commands, done, stop));
    Box::pin(stream::unfold(answers, async |mut answers| {
        let mut frame: Vec<Numbered> = Vec::new();
        // 0: everybody who could answer is gone.
        if answers.recv_many(&mut frame, TOGETHER).await == 0 {
            return None;
        }
        let (request_ids, responses) = frame.into_iter().unzip();
        let frame = BatchCommandsResponse { responses, request_ids, ..Default::default() };
        Some((Ok(frame), answers))
    }))
}

/// Begins the commands, until there are no more, or nobody reads the answers.
async fn take_in<S: Storage>(
    service: TxnService<S>,
    mut commands: Streaming<BatchCommandsRequest>,
    done: mpsc::Sender<Numbered>,
    stop: Stop,
) {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let stopped = stop.thrown();
    tokio::pin!(stopped);
    loop {
        let frame = tokio::select! {
            () = &mut stopped => return,
            () = done.closed() => return,
            frame = commands.message() => frame,
        };
        // A frame that is no message ends the stream: nobody knows where the next one begins.
        let Ok(Some(frame)) = frame else { return };
        for (number, command) in frame.request_ids.into_iter().zip(frame.requests) {
            let permit = tokio::select! {
                () = done.closed() => return,
                permit = permits.clone().acquire_owned() => permit,
            };
            let (service, done) = (service.clone(), done.clone());
            tokio::spawn(async move {
                let cmd = match command.cmd {
                    Some(command) => run(&service, command).await,
                    None => None,
                };
                // Nobody reads it any more: the client is gone.
                let _ = done.send((number, Answer { cmd })).await;
                drop(permit);
            });
        }
    }
}

macro_rules! commands {
    ($($command:ident => $call:ident),+ $(,)?) => {
        /// Runs one command; `None`: it has no answer.
        async fn run<S: Storage>(service: &TxnService<S>, command: Cmd) -> Option<Answered> {
            match command {
                $(Cmd::$command(request) => {
                    let answer = service.$call(Request::new(request)).await.ok()?;
                    Some(Answered::$command(answer.into_inner()))
                })+
                Cmd::Empty(request) => {
                    sleep(Duration::from_millis(request.delay_time).min(MAX_DELAY)).await;
                    let test_id = request.test_id;
                    Some(Answered::Empty(BatchCommandsEmptyResponse { test_id }))
                }
                Cmd::RawCoprocessor(_) => None,
            }
        }
    };
}

commands! {
    Get => kv_get,
    Scan => kv_scan,
    Prewrite => kv_prewrite,
    Commit => kv_commit,
    Cleanup => kv_cleanup,
    BatchGet => kv_batch_get,
    BatchRollback => kv_batch_rollback,
    ScanLock => kv_scan_lock,
    ResolveLock => kv_resolve_lock,
    Gc => kv_gc,
    DeleteRange => kv_delete_range,
    RawGet => raw_get,
    RawBatchGet => raw_batch_get,
    RawPut => raw_put,
    RawBatchPut => raw_batch_put,
    RawDelete => raw_delete,
    RawBatchDelete => raw_batch_delete,
    RawScan => raw_scan,
    RawDeleteRange => raw_delete_range,
    RawBatchScan => raw_batch_scan,
    PessimisticLock => kv_pessimistic_lock,
    PessimisticRollback => kv_pessimistic_rollback,
    CheckTxnStatus => kv_check_txn_status,
    TxnHeartBeat => kv_txn_heart_beat,
    CheckSecondaryLocks => kv_check_secondary_locks,
}
