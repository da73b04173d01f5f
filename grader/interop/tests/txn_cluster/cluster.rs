//! A scheduler and three stores, each a process of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use interop::{binary, group};
use proto::kvrpcpb::{Context, SplitRegionRequest};
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    GetAllStoresRequest, GetMembersRequest, GetRegionRequest, GetRegionResponse, RequestHeader,
};
use proto::tikvpb::tikv_client::TikvClient;
use tempfile::TempDir;
use tikv_client::TransactionClient;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

pub const STORES: usize = 3;

/// How long a cluster may take to do what it should do by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The processes: the scheduler, then the stores.
pub struct Cluster {
    dir: TempDir,
    addresses: Vec<String>,
    processes: Vec<Option<Child>>,
    pd: PdClient<Channel>,
    header: RequestHeader,
}

impl Cluster {
    /// Starts a cluster, and waits until its data is there three times.
    pub async fn start() -> Cluster {
        let addresses = group::addresses(1 + STORES, 20260);
        let url = format!("http://{}", addresses[0]);
        let pd = PdClient::new(Channel::from_shared(url).expect("an address").connect_lazy());
        let mut cluster = Cluster {
            dir: TempDir::new().expect("there is room for a few small disks"),
            processes: (0..=STORES).map(|_| None).collect(),
            addresses,
            pd,
            header: RequestHeader::default(),
        };
        for n in 0..=STORES {
            cluster.revive(n);
        }
        let members = cluster.pd.get_members(GetMembersRequest::default()).await;
        let header = members.expect("the scheduler answers").into_inner().header;
        cluster.header.cluster_id = header.expect("it has a header").cluster_id;
        cluster.whole().await;
        cluster
    }

    /// Where PD is.
    pub fn pd_addr(&self) -> &str {
        &self.addresses[0]
    }

    pub async fn client(&self) -> TransactionClient {
        let connecting = TransactionClient::new(vec![self.pd_addr().to_owned()]);
        connecting.await.expect("the official client connects")
    }

    /// kill -9 of the scheduler (0) or a store.
    pub fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.processes[n].take() {
            child.kill().expect("it runs");
            child.wait().expect("it is our child");
        }
    }

    /// Starts it, on its old disk and at its old address.
    pub fn revive(&mut self, n: usize) {
        let log = File::options().create(true).append(true).open(self.log(n));
        let mut command = Command::new(binary::build_of("txn", "tinykv"));
        if n == 0 {
            command.arg("scheduler");
        } else {
            command.args(["store", "--scheduler", &self.addresses[0]]);
        }
        let mut child = command
            .args(["--addr", &self.addresses[n], "--status-addr", "127.0.0.1:0", "--log", "info"])
            .arg("--data")
            .arg(self.dir.path().join(format!("disk-{n}")))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("there is room for a log"))
            .spawn()
            .expect("it starts");
        let mut banner = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut banner).expect("the banner is text");
        assert!(banner.starts_with("ready"), "process {n} has ended: {}", self.said(n));
        self.processes[n] = Some(child);
    }

    fn log(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("{n}.log"))
    }

    fn said(&self, n: usize) -> String {
        std::fs::read_to_string(self.log(n)).unwrap_or_default()
    }

    /// The region of a key, as PD knows it.
    pub async fn region(&self, key: &str) -> Option<GetRegionResponse> {
        let ask = GetRegionRequest {
            header: Some(self.header),
            region_key: encode(key.as_bytes()).into(),
            ..Default::default()
        };
        self.pd.clone().get_region(ask).await.ok().map(tonic::Response::into_inner)
    }

    /// Waits until the first region has all its copies.
    async fn whole(&self) {
        let whole = |found: GetRegionResponse| {
            found.pending_peers.is_empty()
                && found.region.is_some_and(|region| region.peers.len() == STORES)
        };
        let waiting = async {
            while !self.region("").await.is_some_and(whole) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("the scheduler gives each region three peers");
    }

    /// The stores' ids and addresses, in the order in which they were started.
    pub async fn stores(&self) -> Vec<(u64, String)> {
        let ask = GetAllStoresRequest { header: Some(self.header), ..Default::default() };
        let stores = self.pd.clone().get_all_stores(ask).await.expect("the scheduler answers");
        let stores = stores.into_inner().stores;
        let one = |address: &String| {
            let store = stores.iter().find(|store| store.address == *address);
            (store.expect("it has joined").id, address.clone())
        };
        self.addresses[1..].iter().map(one).collect()
    }

    /// Who leads the region of a key, and what to say to it. `None`: not known now.
    pub async fn leader(&self, key: &str) -> Option<(TikvClient<Channel>, Context)> {
        let found = self.region(key).await?;
        let (region, leader) = (found.region?, found.leader?);
        let ask = GetAllStoresRequest { header: Some(self.header), ..Default::default() };
        let stores = self.pd.clone().get_all_stores(ask).await.ok()?.into_inner().stores;
        let store = stores.into_iter().find(|store| store.id == leader.store_id)?;
        let url = format!("http://{}", store.address);
        let channel = Channel::from_shared(url).ok()?.connect().await.ok()?;
        let context = Context {
            region_id: region.id,
            region_epoch: region.region_epoch,
            peer: Some(leader),
            ..Default::default()
        };
        Some((TikvClient::new(channel), context))
    }

    /// Asks for a split, once; whether it was done.
    pub async fn split(&self, key: &str) -> bool {
        let Some((mut store, context)) = self.leader(key).await else { return false };
        let request = SplitRegionRequest {
            context: Some(context),
            split_keys: vec![key.to_owned().into()],
            ..Default::default()
        };
        let done = timeout(Duration::from_secs(3), store.split_region(request)).await;
        done.is_ok_and(|done| done.is_ok_and(|done| done.get_ref().region_error.is_none()))
    }
}

/// The memcomparable encoding of a key.
fn encode(key: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for start in (0..=key.len()).step_by(8) {
        let group = &key[start..key.len().min(start + 8)];
        let padding = 8 - group.len();
        encoded.extend_from_slice(group);
        encoded.resize(encoded.len() + padding, 0);
        encoded.push(0xff - u8::try_from(padding).expect("at most eight"));
    }
    encoded
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for n in 0..self.processes.len() {
            if let Some(mut child) = self.processes[n].take() {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
            let said = self.said(n);
            if std::thread::panicking() {
                let tail: Vec<&str> = said.lines().rev().take(20).collect();
                eprintln!("process {n} said, last first:\n{}", tail.join("\n"));
            } else {
                assert!(!said.contains("panicked"), "process {n} panicked: {said}");
            }
        }
    }
}
