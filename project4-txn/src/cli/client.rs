//! A small client: finds the leader of a key's region, and asks again where that helps.

use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::errorpb;
use proto::kvrpcpb::Context;
use proto::metapb::{Region, Store};
use proto::pdpb::{GetAllStoresRequest, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse};
use proto::tikvpb::tikv_client::TikvClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::AnyError;

/// How long one goes on asking.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// A client.
pub struct Client {
    pd: Pd,
}

/// A response that may say "not here".
pub trait Answer {
    /// Why not.
    fn region_error(&self) -> Option<&errorpb::Error>;
}

macro_rules! answers {
    ($($answer:ident),+ $(,)?) => {
        $(impl Answer for proto::kvrpcpb::$answer {
            fn region_error(&self) -> Option<&errorpb::Error> {
                self.region_error.as_ref()
            }
        })+
    };
}

answers!(
    RawGetResponse,
    RawPutResponse,
    RawDeleteResponse,
    RawScanResponse,
    GetResponse,
    PrewriteResponse,
    CommitResponse,
    BatchRollbackResponse,
    MvccGetByKeyResponse,
    SplitRegionResponse,
);

impl Client {
    /// Finds the cluster.
    pub async fn connect(pd: &str) -> Result<Client, AnyError> {
        let connecting = timeout(Duration::from_secs(3), Pd::connect(pd));
        let late = format!("`pd` is {pd}: nobody answers there; is the cluster running?");
        Ok(Client { pd: connecting.await.map_err(|_| late)?? })
    }

    /// The scheduler.
    pub fn pd(&self) -> &Pd {
        &self.pd
    }

    /// The region at a position, if it is known.
    pub async fn region_at(&self, position: &[u8]) -> Result<GetRegionResponse, Status> {
        let region_key = position.to_vec().into();
        let ask =
            GetRegionRequest { header: Some(self.pd.header()), region_key, ..Default::default() };
        Ok(self.pd.client().get_region(ask).await?.into_inner())
    }

    /// A region by its id.
    pub async fn region_by_id(&self, region_id: u64) -> Result<GetRegionResponse, Status> {
        let header = Some(self.pd.header());
        let ask = GetRegionByIdRequest { header, region_id, ..Default::default() };
        Ok(self.pd.client().get_region_by_id(ask).await?.into_inner())
    }

    /// All stores.
    pub async fn stores(&self) -> Result<Vec<Store>, Status> {
        let ask = GetAllStoresRequest { header: Some(self.pd.header()), ..Default::default() };
        Ok(self.pd.client().get_all_stores(ask).await?.into_inner().stores)
    }

    /// Asks the leader of the region at this position; again, if it was another.
    ///
    /// # Errors
    /// What the last attempt failed with.
    pub async fn ask<T: Answer>(
        &self,
        position: &[u8],
        call: impl AsyncFn(TikvClient<Channel>, Context, Region) -> Result<Response<T>, Status>,
    ) -> Result<T, AnyError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.attempt(position, &call).await {
                Ok(answer) => match answer.region_error() {
                    None => return Ok(answer),
                    Some(error) => error.message.clone(),
                },
                Err(status) if status.code() != Code::Unavailable => {
                    return Err(status.message().into());
                }
                Err(status) => status.message().to_owned(),
            };
            if Instant::now() >= deadline {
                let seconds = PATIENCE.as_secs();
                return Err(format!("gave up after {seconds} s; the last answer: {why}").into());
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt<T>(
        &self,
        position: &[u8],
        call: impl AsyncFn(TikvClient<Channel>, Context, Region) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let found = self.region_at(position).await?;
        let (Some(region), Some(leader)) = (found.region, found.leader) else {
            return Err(Status::unavailable("the scheduler knows no leader for the key's region"));
        };
        let stores = self.stores().await?;
        let store = stores.into_iter().find(|store| store.id == leader.store_id);
        let address = store.map(|store| store.address).unwrap_or_default();
        let unavailable = |e: tonic::transport::Error| Status::unavailable(e.to_string());
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .map_err(unavailable)?
            .connect_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(5))
            .connect()
            .await
            .map_err(unavailable)?;
        let context = Context {
            region_id: region.id,
            region_epoch: region.region_epoch,
            peer: Some(leader),
            ..Default::default()
        };
        Ok(call(TikvClient::new(channel), context, region).await?.into_inner())
    }
}

/// `POST`s to a status page, and returns what it says.
pub async fn post(addr: &str, path: &str) -> Result<String, AnyError> {
    let away = |e: std::io::Error| format!("`status` is {addr}: {e}");
    let mut stream = TcpStream::connect(addr).await.map_err(away)?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(away)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(away)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = body.trim().to_owned();
    if head.split_whitespace().nth(1) == Some("200") { Ok(body) } else { Err(body.into()) }
}
