//! Many waiting writes, one fsync.
//!
//! A durable commit costs an fsync, some milliseconds on a disk, whether it holds one key or a
//! thousand; and redb has one writer, so that sixty-four clients with a commit each would stand in
//! line for sixty-four fsyncs, each holding one of tokio's threads meanwhile. [`GroupCommit`]
//! stands in front of any [`Storage`] and is one itself. A write goes into a queue; one writer
//! thread takes what has gathered there while the last commit was under way, merges it into one
//! batch, commits it, and completes everybody. Nobody waits for others to come: the group is
//! whoever is there. The busier the server, the larger the groups. PostgreSQL and MySQL call it
//! group commit; RocksDB does it in its write queue.
//!
//! # Invariants
//!
//! - Writes take effect in the order in which they came into the queue, and each of them as a
//!   whole: a group is their concatenation.
//! - A write is answered after the commit that holds it, never before.
//! - Only neighbours with an equal `Context` are merged: what it says is for the storage behind us
//!   to judge.
//! - One write's fault is not another's. If a group is refused and surely did not happen, each
//!   write is tried again alone and gets an answer of its own. If the group's fate is unknown, so
//!   is that of each write in it, and all are told so.
//!
//! TiKV has no need of it: its raftstore commits the log entries of all regions once a round.

use std::sync::Arc;
use std::thread;

use proto::kvrpcpb::Context;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Modify, Result, Storage};

/// How many writes may wait in the queue. When it is full the caller waits for a place: its client
/// feels a slow answer, which is the truth.
pub const QUEUE: usize = 1024;

/// A group is closed when it has this many writes ...
pub const GROUP_WRITES: usize = 1024;

/// ... or this many bytes of keys and values: the first in line should not wait for a commit that
/// takes seconds. A single larger write goes alone.
pub const GROUP_BYTES: usize = 4 << 20;

/// A [`Storage`] that commits writes in groups. See the module.
pub struct GroupCommit<S> {
    inner: Arc<S>,
    queue: mpsc::Sender<Message>,
}

enum Message {
    Write(Write),
    /// Take no more, commit what is there, then say so.
    Close(oneshot::Sender<()>),
}

struct Write {
    context: Context,
    batch: Vec<Modify>,
    done: oneshot::Sender<Result<()>>,
}

impl<S: Storage> GroupCommit<S> {
    /// Puts a queue and a writer thread in front of `inner`. Must be called on a tokio runtime,
    /// which then polls the writes of `inner`.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives us no thread.
    pub fn new(inner: S) -> Result<Self> {
        let inner = Arc::new(inner);
        let (queue, incoming) = mpsc::channel(QUEUE);
        let writer = Writer {
            inner: inner.clone(),
            runtime: Handle::current(),
            incoming,
            ahead: None,
            closed: Vec::new(),
        };
        thread::Builder::new()
            .name("writer".into())
            .spawn(move || writer.run())
            .map_err(|e| Error::Io { doing: "start the writer thread", what: e.to_string() })?;
        Ok(GroupCommit { inner, queue })
    }

    /// Takes no more writes, and returns when those that were taken are done.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error here means that the writer is gone, and that is what we wait for.
            let _ = closed.await;
        }
    }
}

impl<S: Storage> Storage for GroupCommit<S> {
    type Reader = S::Reader;

    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let write = Write { context: context.clone(), batch, done };
        if self.queue.send(Message::Write(write)).await.is_err() {
            let what = "the server is shutting down: ask again when it is back".into();
            return Err(Error::Io { doing: "queue a write", what });
        }
        answer.await.unwrap_or_else(|_| {
            let what = "the writer thread ended: restart the server".into();
            Err(Error::Io { doing: "commit a group of writes", what })
        })
    }

    async fn reader(&self, context: &Context) -> Result<S::Reader> {
        self.inner.reader(context).await
    }
}

/// What the writer thread owns.
struct Writer<S> {
    inner: Arc<S>,
    runtime: Handle,
    incoming: mpsc::Receiver<Message>,
    /// A write that was taken from the queue and did not fit into the group before it.
    ahead: Option<Write>,
    /// Who wants to know when we are done.
    closed: Vec<oneshot::Sender<()>>,
}

impl<S: Storage> Writer<S> {
    fn run(mut self) {
        while let Some(first) = self.next(true) {
            let group = self.group(first);
            self.commit(group);
        }
        let Writer { inner, closed, .. } = self;
        // The storage is let go first: whoever waits may want to open the same files.
        drop(inner);
        for done in closed {
            let _ = done.send(());
        }
    }

    /// The next write; waits for one if `wait`. None: there is none now, or (if `wait`) never
    /// again.
    fn next(&mut self, wait: bool) -> Option<Write> {
        if let Some(write) = self.ahead.take() {
            return Some(write);
        }
        loop {
            let message =
                if wait { self.incoming.blocking_recv() } else { self.incoming.try_recv().ok() };
            match message? {
                Message::Write(write) => return Some(write),
                Message::Close(done) => {
                    self.incoming.close();
                    self.closed.push(done);
                }
            }
        }
    }

    /// `first` and those behind it that may be committed with it.
    fn group(&mut self, first: Write) -> Vec<Write> {
        let mut bytes = size(&first.batch);
        let mut group = vec![first];
        while group.len() < GROUP_WRITES {
            let Some(write) = self.next(false) else { break };
            bytes += size(&write.batch);
            if bytes > GROUP_BYTES || write.context != group[0].context {
                self.ahead = Some(write);
                break;
            }
            group.push(write);
        }
        group
    }

    fn commit(&self, mut group: Vec<Write>) {
        if group.len() > 1 {
            self.commit_merged(group);
        } else if let Some(write) = group.pop() {
            self.commit_alone(write);
        }
    }

    fn commit_alone(&self, Write { context, batch, done }: Write) {
        let result = self.runtime.block_on(self.inner.write(&context, batch));
        // Who asked may have gone; the write is done all the same.
        let _ = done.send(result);
    }

    fn commit_merged(&self, group: Vec<Write>) {
        // A copy, so that each can be tried again alone: a memcpy beside an fsync.
        let merged = group.iter().flat_map(|write| write.batch.iter().cloned()).collect();
        match self.runtime.block_on(self.inner.write(&group[0].context, merged)) {
            Err(error) if error.is_definite() => {
                for write in group {
                    self.commit_alone(write);
                }
            }
            result => {
                for Write { done, .. } in group {
                    let _ = done.send(result.clone());
                }
            }
        }
    }
}

/// Bytes of keys and values.
fn size(batch: &[Modify]) -> usize {
    let one = |modify: &Modify| match modify {
        Modify::Put { key, value, .. } => key.len() + value.len(),
        Modify::Delete { key, .. } => key.len(),
        Modify::DeleteRange { range, .. } => range.start.len() + range.end.len(),
    };
    batch.iter().map(one).sum()
}
