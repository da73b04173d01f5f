//! Who this store is. Ids come from the scheduler; a file beside the data remembers them.
//!
//! The first store of a cluster also *bootstraps* it: it proposes a first region, with itself as the only member. Two
//! stores may try at once, and a crash may come at any point, so the order matters:
//!
//! 1. Draw the ids, and write them down with the region that is to be proposed.
//! 2. Propose it. If another store was faster, this one begins empty.
//! 3. Open the data, with the region in it.
//!
//! A crash behind 2 leaves a cluster that counts on this store's region. Step 1 is what lets the next start recognise it
//! as its own: the scheduler has a region with our ids.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use prost::Message as _;
use proto::metapb::{Peer, Region, RegionEpoch, Store};
use proto::pdpb::{
    AllocIdRequest, BootstrapRequest, GetRegionByIdRequest, IsBootstrappedRequest, PutStoreRequest,
    ResponseHeader,
};

use super::reports::{Pd, refused};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Who this is, and what it begins with.
pub(super) struct Identity {
    pub(super) store: u64,
    /// The regions of a cluster that begins here. A disk that is in use ignores them.
    pub(super) first: Vec<Region>,
}

/// The file.
const FILE: &str = "identity";

/// Reads who this is, or asks; bootstraps the cluster if nobody has; says where this store is.
///
/// # Errors
/// The disk's, the scheduler's, and a disk of another cluster.
pub(super) async fn identify(
    data: &Path,
    address: &str,
    status_address: &str,
    pd: &Pd,
) -> Result<Identity, AnyError> {
    fs::create_dir_all(data)?;
    let known = match read(data)? {
        Some(known) => known,
        None => draw(data, pd).await?,
    };
    let cluster = known.header.map_or(0, |header| header.cluster_id);
    if cluster != pd.cluster() {
        return Err(format!(
            "`data` is {}: it belongs to cluster {cluster}, and the scheduler to cluster {}",
            data.display(),
            pd.cluster()
        )
        .into());
    }
    let store = known.store.clone().unwrap_or_default();
    let first = bootstrap(&known, pd).await?;
    let (address, status_address) = (address.to_owned(), status_address.to_owned());
    let store = Store { address, status_address, ..store };
    let id = store.id;
    let request = PutStoreRequest { header: Some(pd.header()), store: Some(store) };
    said(pd.client().put_store(request).await?.into_inner().header.as_ref())?;
    Ok(Identity { store: id, first: first.into_iter().collect() })
}

fn said(header: Option<&ResponseHeader>) -> Result<(), AnyError> {
    refused(header).map_or(Ok(()), |why| Err(format!("the scheduler says: {why}").into()))
}

async fn new_id(pd: &Pd) -> Result<u64, AnyError> {
    let request = AllocIdRequest { header: Some(pd.header()) };
    let answer = pd.client().alloc_id(request).await?.into_inner();
    said(answer.header.as_ref())?;
    Ok(answer.id)
}

/// Step 1.
async fn draw(data: &Path, pd: &Pd) -> Result<BootstrapRequest, AnyError> {
    let id = new_id(pd).await?;
    let asked = IsBootstrappedRequest { header: Some(pd.header()) };
    let begun = pd.client().is_bootstrapped(asked).await?.into_inner();
    said(begun.header.as_ref())?;
    let region = if begun.bootstrapped {
        None
    } else {
        let (region, peer) = (new_id(pd).await?, new_id(pd).await?);
        Some(Region {
            id: region,
            region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
            peers: vec![Peer { id: peer, store_id: id, ..Default::default() }],
            ..Default::default()
        })
    };
    let store = Some(Store { id, ..Default::default() });
    let known = BootstrapRequest { header: Some(pd.header()), store, region };
    let making = data.join("identity.new");
    let mut file = File::create(&making)?;
    file.write_all(&known.encode_to_vec())?;
    file.sync_all()?;
    fs::rename(&making, data.join(FILE))?;
    #[cfg(unix)]
    File::open(data)?.sync_all()?;
    Ok(known)
}

fn read(data: &Path) -> Result<Option<BootstrapRequest>, AnyError> {
    let path = data.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let known = BootstrapRequest::decode(&fs::read(&path)?[..]);
    let damaged = |e| format!("{} is damaged ({e}): start with an empty `data`", path.display());
    Ok(Some(known.map_err(damaged)?))
}

/// Step 2: the first region, if it is ours.
async fn bootstrap(known: &BootstrapRequest, pd: &Pd) -> Result<Option<Region>, AnyError> {
    let Some(region) = known.region.clone() else { return Ok(None) };
    let request = BootstrapRequest { header: Some(pd.header()), ..known.clone() };
    let answer = pd.client().bootstrap(request).await?.into_inner();
    let Some(why) = refused(answer.header.as_ref()) else { return Ok(Some(region)) };
    let request = GetRegionByIdRequest {
        header: Some(pd.header()),
        region_id: region.id,
        ..Default::default()
    };
    let there = pd.client().get_region_by_id(request).await?.into_inner();
    let ours = there.region.is_some_and(|found| found.id == region.id);
    tracing::debug!(why, ours, "the cluster exists already");
    Ok(ours.then_some(region))
}
