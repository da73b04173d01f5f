//! How a server of the course is asked to end.

use std::future::Future;
use std::io;

/// Completes at ctrl-c, and at SIGTERM, which is how service managers ask.
///
/// It is listened for from the call on, so that a signal during the start is not lost.
///
/// # Errors
/// The system does not let us listen.
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
///
/// It is listened for from the call on, so that a signal during the start is not lost.
///
/// # Errors
/// The system does not let us listen.
#[cfg(not(unix))]
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // An error means that no signal can come: then the server runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
