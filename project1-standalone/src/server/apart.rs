//! Long reads, on threads of their own.
//!
//! A handler never waits for the disk in a way that tokio could see: it reads, and its thread does nothing else meanwhile. For one key that is well. A
//! scan of ten thousand values takes many milliseconds, and a few of them at a time would hold all of tokio's threads, one a core; nobody else would
//! be answered, and Raft's messages and ticks would wait as well. So scans run on the threads that tokio keeps for what
//! blocks, and no more than [`AT_ONCE`] of them: each may hold an answer of 64 MiB. The others wait for their turn. (Not as few as there are cores:
//! a scan also waits here for its region to have a leader, and must not keep those of other regions from theirs.)

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// Scans of this process that run at once.
const AT_ONCE: usize = 64;

static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE));

/// Runs a long read apart. Must be called on a tokio runtime. A client that hangs up while it waits has not begun it; a read that has begun
/// ends.
///
/// # Errors
/// It panicked: a bug of ours.
pub async fn apart<T: Send + 'static>(read: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let turn = TURNS.acquire().await;
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        let done = runtime.block_on(read);
        drop(turn);
        done
    });
    done.await.map_err(|panic| Error::Io {
        doing: "finish a scan",
        what: format!("a bug of ours: {panic}"),
    })
}
