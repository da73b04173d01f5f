//! How a process is asked to end.

use std::io;

/// Completes at ctrl-c, and at SIGTERM, which is how service managers ask.
#[cfg(unix)]
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Completes at ctrl-c.
#[cfg(not(unix))]
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // An error means that no signal can come: then the server runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
