//! The scheduler's process, put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use proto::pdpb::Member;
use standalone::server::net::Listener;
use standalone::server::{Stop, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Disk, Driver, Service, Settings, status};
use crate::scheduler::{Cluster, Config};

/// How often the cluster is told that time has passed.
const TICK: Duration = Duration::from_millis(500);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A scheduler that runs.
pub struct Scheduler {
    addr: SocketAddr,
    status_addr: SocketAddr,
    stop: Stop,
    serving: JoinSet<()>,
}

impl Scheduler {
    /// Opens the data, listens, and serves. Stores and clients may come as soon as it returns.
    ///
    /// # Errors
    /// Those of [`Disk::open`] and of listening, and damaged data. Each says what to do.
    pub async fn start(settings: &Settings) -> Result<Scheduler, AnyError> {
        Self::start_with(settings, |_| Router::new()).await
    }

    /// The same, with more pages beside `/status` and `/metrics`.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(
        settings: &Settings,
        pages_of: impl FnOnce(Arc<Driver>) -> Router,
    ) -> Result<Scheduler, AnyError> {
        let listener = Listener::bind("addr", &settings.addr).await?;
        let pages = TcpListener::bind(&settings.status_addr).await.map_err(|e| {
            format!("`status-addr` is {}: cannot listen there: {e}", settings.status_addr)
        })?;
        let (addr, status_addr) = (listener.addr(), pages.local_addr()?);

        let disk = Disk::open(&settings.data)?;
        let now = SystemClock.unix_millis();
        let config = Config { seed: now, ..settings.schedule.clone() };
        let cluster = Cluster::open(config, disk.load()?, now, 0)?;
        let (id, stop) = (cluster.id(), Stop::new());
        let url = format!("http://{addr}");
        let member = Member {
            name: "scheduler".into(),
            member_id: id,
            peer_urls: vec![url.clone()],
            client_urls: vec![url],
        };
        let driver = Arc::new(Driver::new(cluster, disk, stop.clone()));
        let service = Service::new(driver.clone(), member, stop.clone()).into_server();

        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(service, stop.clone()));
        serving.spawn(tick(driver.clone(), stop.clone()));
        let router = status::router(driver.clone()).merge(pages_of(driver));
        let stopped = stop.clone().thrown();
        serving.spawn(async move {
            let served = axum::serve(pages, router).with_graceful_shutdown(stopped).await;
            if let Err(error) = served {
                tracing::error!(%error, "the status pages are gone");
            }
        });
        tracing::info!(%addr, %status_addr, cluster = id, data = %settings.data.display(), "serving");
        Ok(Scheduler { addr, status_addr, stop, serving })
    }

    /// Where stores and clients reach it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where people and Prometheus do.
    pub fn status_addr(&self) -> SocketAddr {
        self.status_addr
    }

    /// Completes when it can no longer go on by itself: its disk has failed.
    pub async fn ended(&self) {
        self.stop.clone().thrown().await;
    }

    /// Ends in order.
    pub async fn shutdown(mut self) {
        self.stop.now();
        while self.serving.join_next().await.is_some() {}
        tracing::info!("stopped");
    }
}

async fn tick(driver: Arc<Driver>, stop: Stop) {
    let mut beats = stop.beats(TICK);
    while beats.wait().await {
        if driver.tell(|cluster, times| cluster.tick(times.uptime)).is_err() {
            return;
        }
    }
}
