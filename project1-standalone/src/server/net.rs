//! Listening and serving, the same for every gRPC server of the course.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::server::TcpIncoming;

use super::Stop;
use crate::{Error, Result};

/// How long calls that were accepted may go on after the [`Stop`]. Clients wait for 2 s at most, so
/// nobody is still there for a later answer.
pub const GRACE: Duration = Duration::from_secs(3);

/// Bytes in flight in each direction of a call before the receiver has read them. HTTP/2's default
/// of 64 KiB would make a value of 1 MiB wait for sixteen round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// How often a silent connection is asked whether it is still there; without it a client that lost
/// its power would hold its socket here for ever.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A socket that listens, before anything is served on it.
pub struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    /// Listens on `addr`, which is `host:port`; port 0 picks a free one. `flag` is the option that
    /// the address came from, for the error text.
    ///
    /// # Errors
    /// [`Error::CannotListen`]: the address is taken, is not this machine's, or is one that nobody
    /// can dial. The address is told to clients, so that `0.0.0.0` will not do.
    pub async fn bind(flag: &'static str, addr: &str) -> Result<Listener> {
        let refused = |why: String| Error::CannotListen { flag, addr: addr.to_owned(), why };
        let socket = TcpListener::bind(addr).await.map_err(|e| refused(e.to_string()))?;
        let addr = socket.local_addr().map_err(|e| refused(e.to_string()))?;
        if addr.ip().is_unspecified() {
            return Err(refused("clients are told this address, and cannot dial it".into()));
        }
        Ok(Listener { socket, addr })
    }

    /// The real address: what was asked for, with a port that is never 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop`, then finishes what was accepted, for [`GRACE`] at most. Bytes that are
    /// not HTTP/2 end their connection and nothing else.
    pub async fn serve<S>(self, service: S, stop: Stop)
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let addr = self.addr;
        let incoming = TcpIncoming::from(self.socket).with_nodelay(Some(true));
        let serving = tonic::transport::Server::builder()
            .accept_http1(false)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .serve_with_incoming_shutdown(service, incoming, stop.clone().thrown());
        let too_late = async {
            stop.thrown().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            done = serving => if let Err(error) = done {
                tracing::error!(%addr, %error, "the listener failed: restart the server");
            },
            () = too_late => tracing::warn!(%addr, "gave up on calls that did not end in time"),
        }
    }
}
