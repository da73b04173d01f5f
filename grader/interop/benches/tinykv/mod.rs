//! A scheduler and some stores of `tinykv`, each a process of its own, as a bench sees them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use interop::binary;
use interop::cluster::metrics;
use interop::group::addresses;
use proto::kvrpcpb::{Context, SplitRegionRequest};
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{GetAllStoresRequest, GetMembersRequest, GetRegionRequest, RequestHeader};
use proto::tikvpb::tikv_client::TikvClient;
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::transport::Channel;

/// How often something is looked for that a cluster does by itself, a tenth of a second apart.
const LOOKS: usize = 600;

/// Connections to a store, for all clients together.
const CONNECTIONS: usize = 8;

/// The processes: the scheduler, then the stores.
pub struct Cluster {
    processes: Vec<(Child, String)>,
    #[allow(dead_code)] // as `pd_addr`
    pd_addr: String,
    pd: PdClient<Channel>,
    header: RequestHeader,
    stores: usize,
    channels: Mutex<BTreeMap<(String, usize), Channel>>,
    asked: AtomicUsize,
    _dir: TempDir,
}

impl Cluster {
    /// Starts a cluster on new disks, and waits until each store has a copy of its data.
    pub async fn start(stores: usize) -> Cluster {
        let dir = TempDir::new().expect("there is room for a few small disks");
        let addresses = addresses(1 + stores, 20460);
        let binary = binary::build_of("txn", "tinykv");
        let replicas = stores.to_string();
        let start = |(n, address): (usize, &String)| {
            let mut command = Command::new(&binary);
            match n {
                0 => command.args(["scheduler", "--max-replicas", &replicas]),
                _ => command.args(["store", "--scheduler", &addresses[0]]),
            };
            let mut child = command
                .args(["--addr", address, "--status-addr", "127.0.0.1:0", "--log", "error"])
                .arg("--data")
                .arg(dir.path().join(n.to_string()))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let mut banner = String::new();
            let stdout = child.stdout.take().expect("it is piped");
            BufReader::new(stdout).read_line(&mut banner).expect("the banner is text");
            let pages =
                banner.split_whitespace().find_map(|word| word.strip_prefix("status-addr="));
            (child, pages.expect("it has not ended").to_owned())
        };
        let processes = addresses.iter().enumerate().map(start).collect();
        let url = format!("http://{}", addresses[0]);
        let mut pd = PdClient::new(Channel::from_shared(url).expect("an address").connect_lazy());
        let members = pd.get_members(GetMembersRequest::default()).await;
        let header = members.expect("the scheduler answers").into_inner().header;
        let cluster_id = header.expect("it has a header").cluster_id;
        let header = RequestHeader { cluster_id, ..Default::default() };
        let (channels, asked) = (Mutex::default(), AtomicUsize::new(0));
        let pd_addr = addresses[0].clone();
        let cluster =
            Cluster { processes, pd_addr, pd, header, stores, channels, asked, _dir: dir };
        for _ in 0..LOOKS {
            if cluster.place(b"").await.is_some_and(|(_, _, peers)| peers == stores) {
                return cluster;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("a minute was not enough for {stores} copies of the data");
    }

    /// Where PD is.
    #[allow(dead_code)] // for the bench of transactions
    pub fn pd_addr(&self) -> &str {
        &self.pd_addr
    }

    /// Who leads the region of a raw key, what to say to it, and how many members it has.
    async fn place(&self, key: &[u8]) -> Option<(String, Context, usize)> {
        let header = Some(self.header);
        let ask =
            GetRegionRequest { header, region_key: key.to_vec().into(), ..Default::default() };
        let found = self.pd.clone().get_region(ask).await.ok()?.into_inner();
        let (region, leader) = (found.region?, found.leader?);
        let ask = GetAllStoresRequest { header: Some(self.header), ..Default::default() };
        let stores = self.pd.clone().get_all_stores(ask).await.ok()?.into_inner().stores;
        let store = stores.into_iter().find(|store| store.id == leader.store_id)?;
        let context = Context {
            region_id: region.id,
            region_epoch: region.region_epoch,
            peer: Some(leader),
            ..Default::default()
        };
        let settled = if found.pending_peers.is_empty() { region.peers.len() } else { 0 };
        Some((store.address, context, settled))
    }

    /// A line to whoever leads the region of a raw key, one of a few that all clients share, and what to say to it.
    pub async fn leader(&self, key: &[u8]) -> Option<(TikvClient<Channel>, Context)> {
        let (address, context, _) = self.place(key).await?;
        let slot = self.asked.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let endpoint = Channel::from_shared(format!("http://{address}")).ok()?;
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry((address, slot)).or_insert_with(|| endpoint.connect_lazy());
        Some((TikvClient::new(channel.clone()), context))
    }

    /// Cuts at these raw keys, which must rise.
    pub async fn split(&self, keys: &[Vec<u8>]) {
        // The last part keeps the id: so each batch cuts what is left.
        for keys in keys.chunks(64) {
            let mut done = false;
            for _ in 0..LOOKS {
                done = self.split_once(keys).await;
                if done {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
            assert!(done, "a minute was not enough for a split");
        }
    }

    async fn split_once(&self, keys: &[Vec<u8>]) -> bool {
        let Some((mut store, context)) = self.leader(&keys[0]).await else { return false };
        let request = SplitRegionRequest {
            context: Some(context),
            split_keys: keys.iter().map(|key| key.clone().into()).collect(),
            ..Default::default()
        };
        let done = store.split_region(request).await;
        done.is_ok_and(|done| done.get_ref().region_error.is_none())
    }

    /// A number on the pages of the stores, added up.
    pub fn metric(&self, name: &str) -> f64 {
        self.processes.iter().skip(1).map(|(_, pages)| metric(pages, name)).sum()
    }

    /// A store's process.
    pub fn process(&self, store: usize) -> u32 {
        assert!(store < self.stores);
        self.processes[1 + store].0.id()
    }
}

/// A number on somebody's page for Prometheus; 0 if it is not there.
pub fn metric(pages: &str, name: &str) -> f64 {
    metrics(pages).and_then(|all| all.get(name).copied()).unwrap_or(0.)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (child, _) in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
