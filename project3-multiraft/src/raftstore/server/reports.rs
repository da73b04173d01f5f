//! To the scheduler, and back: what leaders report, what it orders, ids for splits, and that this store lives.
//!
//! Nothing here is remembered. What is lost is said again: a leader's heartbeat comes round, and a split whose ids did not
//! come is asked for again by the store.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    AskBatchSplitRequest, GetMembersRequest, RegionHeartbeatRequest, ReportBatchSplitRequest,
    RequestHeader, ResponseHeader, StoreHeartbeatRequest, StoreStats,
};
use standalone::server::Stop;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::driver::{Counts, Inputs, Order};
use crate::raftstore::ToScheduler;
use raftkv::server::Input;

/// Reports that may wait.
const QUEUE: usize = 4096;

/// Between two attempts to reach the scheduler.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a store that starts waits for its scheduler.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a store says that it lives.
const ALIVE: Duration = Duration::from_secs(2);

/// The way to the scheduler, and the cluster that it schedules. Clones share the connection.
#[derive(Clone)]
pub struct Pd {
    client: PdClient<Channel>,
    cluster: u64,
}

impl Pd {
    /// Finds out which cluster the scheduler at this address is of.
    ///
    /// # Errors
    /// It cannot be reached, for longer than it takes to start one.
    pub async fn connect(address: &str) -> Result<Pd, String> {
        let url = format!("http://{}", address.trim_start_matches("http://"));
        let endpoint = Endpoint::from_shared(url)
            .map_err(|e| format!("`scheduler` is {address}: {e}"))?
            .connect_timeout(Duration::from_secs(1))
            .tcp_nodelay(true);
        let mut client = PdClient::new(endpoint.connect_lazy());
        let asking = async {
            loop {
                match client.get_members(GetMembersRequest::default()).await {
                    Ok(answer) => return answer.into_inner().header,
                    Err(status) => {
                        tracing::info!(
                            address,
                            error = status.message(),
                            "waiting for the scheduler"
                        );
                        sleep(PAUSE).await;
                    }
                }
            }
        };
        let header = tokio::time::timeout(PATIENCE, asking).await.map_err(|_| {
            format!(
                "`scheduler` is {address}: nobody answered there for {} s; is it running?",
                PATIENCE.as_secs()
            )
        })?;
        let cluster = header.map_or(0, |header| header.cluster_id);
        Ok(Pd { client, cluster })
    }

    /// To ask something.
    pub fn client(&self) -> PdClient<Channel> {
        self.client.clone()
    }

    /// The cluster's id.
    pub fn cluster(&self) -> u64 {
        self.cluster
    }

    /// What every request begins with.
    pub fn header(&self) -> RequestHeader {
        RequestHeader { cluster_id: self.cluster, ..Default::default() }
    }
}

/// What went wrong, if an answer says that something did.
pub(super) fn refused(header: Option<&ResponseHeader>) -> Option<String> {
    header.and_then(|header| header.error.as_ref()).map(|error| error.message.clone())
}

/// The loop's way to the scheduler.
pub(super) struct Reports {
    queue: Sender<ToScheduler>,
}

impl Reports {
    /// Begins to report. Must be called on a tokio runtime.
    pub(super) fn new(pd: Pd, inputs: Inputs) -> Self {
        let (queue, waiting) = channel(QUEUE);
        tokio::spawn(report(pd, waiting, inputs));
        Reports { queue }
    }

    /// Tells, or drops what there is no room for.
    pub(super) fn tell(&self, message: ToScheduler) {
        let _ = self.queue.try_send(message);
    }
}

/// One stream after the other, until the store ends.
async fn report(pd: Pd, mut waiting: Receiver<ToScheduler>, inputs: Inputs) {
    loop {
        match converse(&pd, &mut waiting, &inputs).await {
            Ok(()) => return,
            Err(status) => tracing::debug!(error = status.message(), "the scheduler is away"),
        }
        sleep(PAUSE).await;
        // Old news.
        while waiting.try_recv().is_ok() {}
    }
}

/// `Ok`: there will be no more.
async fn converse(
    pd: &Pd,
    waiting: &mut Receiver<ToScheduler>,
    inputs: &Inputs,
) -> Result<(), Status> {
    let (beats, stream) = channel::<RegionHeartbeatRequest>(QUEUE);
    let answer = pd.client().region_heartbeat(ReceiverStream::new(stream)).await?;
    let mut orders = answer.into_inner();
    let ended = || Status::unavailable("the stream ended");
    loop {
        tokio::select! {
            order = orders.message() => {
                let order = order?.ok_or_else(ended)?;
                match refused(order.header.as_ref()) {
                    Some(why) => tracing::debug!(region = order.region_id, why, "a report was refused"),
                    None if order.region_id != 0 => inputs.put(Input::Word(Order::Operator(Box::new(order)))).await,
                    None => {}
                }
            }
            message = waiting.recv() => match message {
                None => return Ok(()),
                Some(ToScheduler::Region(mut beat)) => {
                    beat.header = Some(pd.header());
                    beats.send(beat).await.map_err(|_| ended())?;
                }
                Some(ToScheduler::AskSplit(ask)) => {
                    tokio::spawn(ask_split(pd.clone(), ask, inputs.clone()));
                }
                Some(ToScheduler::ReportSplit(split)) => {
                    tokio::spawn(report_split(pd.clone(), split));
                }
            },
        }
    }
}

async fn ask_split(pd: Pd, mut ask: AskBatchSplitRequest, inputs: Inputs) {
    ask.header = Some(pd.header());
    let Some(region) = ask.region.clone() else { return };
    match pd.client().ask_batch_split(ask).await.map(tonic::Response::into_inner) {
        Ok(answer) => match refused(answer.header.as_ref()) {
            None => {
                let ids = Order::SplitIds(Box::new(region), answer.ids);
                inputs.put(Input::Word(ids)).await;
            }
            Some(why) => tracing::debug!(region = region.id, why, "no ids for a split"),
        },
        Err(status) => tracing::debug!(error = status.message(), "no ids for a split"),
    }
}

async fn report_split(pd: Pd, mut split: ReportBatchSplitRequest) {
    split.header = Some(pd.header());
    if let Err(status) = pd.client().report_batch_split(split).await {
        // The parts' own heartbeats say it, too.
        tracing::debug!(error = status.message(), "a split was not reported");
    }
}

/// Says again and again that this store lives, and how much it holds.
pub(super) async fn live(
    pd: Pd,
    store: u64,
    data: std::path::PathBuf,
    counts: watch::Receiver<Counts>,
    stop: Stop,
) {
    // The edge: the machine's clock is read here, and told.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let start_time = u32::try_from(seconds).unwrap_or(u32::MAX);
    let mut beats = stop.beats(ALIVE);
    while beats.wait().await {
        let regions = counts.borrow().regions;
        let (capacity, available) = space(&data);
        let stats = StoreStats {
            store_id: store,
            capacity,
            available,
            used_size: used(&data),
            region_count: u32::try_from(regions).unwrap_or(u32::MAX),
            start_time,
            ..Default::default()
        };
        let beat = StoreHeartbeatRequest { header: Some(pd.header()), stats: Some(stats) };
        match pd.client().store_heartbeat(beat).await {
            Ok(answer) => {
                if let Some(why) = refused(answer.into_inner().header.as_ref()) {
                    tracing::warn!(why, "the scheduler does not want this store's heartbeat");
                }
            }
            Err(status) => tracing::debug!(error = status.message(), "the scheduler is away"),
        }
    }
}

/// Of the disk: how much there is, and how much of it is free.
#[cfg(unix)]
fn space(data: &std::path::Path) -> (u64, u64) {
    rustix::fs::statvfs(data)
        .map_or((0, 0), |stat| (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
}

/// Nobody knows.
#[cfg(not(unix))]
fn space(_: &std::path::Path) -> (u64, u64) {
    (1 << 40, 1 << 40)
}

/// Bytes of the files in the store's folder.
fn used(data: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(data.join("store")).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}
