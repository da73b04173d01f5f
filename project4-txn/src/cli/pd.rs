//! The scheduler (PD), as the commands ask it: each answer comes within seconds, or says in words why there is none.

use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::metapb::Store;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{
    GetAllStoresRequest, GetMembersRequest, GetRegionByIdRequest, GetRegionRequest,
    GetRegionResponse,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

/// How long one waits for PD to be there, and for the answer to a single question.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to do when there is none.
const START: &str = "Start a cluster (`cargo playground`), or name its PD with --pd";

/// A line to PD.
pub struct Scheduler {
    address: String,
    pd: Pd,
}

impl Scheduler {
    /// Finds out which cluster it is of.
    ///
    /// # Errors
    /// There is no PD at this address: who is, and what to do.
    pub async fn connect(address: &str) -> Result<Scheduler, String> {
        let wrong = |what: String| format!("`--pd` is {address}: {what}");
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(wrong("it must be HOST:PORT, as in 127.0.0.1:2379".into()));
        }
        match timeout(PATIENCE, Pd::connect(address)).await {
            Ok(Ok(pd)) => Ok(Scheduler { address: address.into(), pd }),
            Ok(Err(what)) => Err(wrong(what)),
            Err(_) => Err(wrong(who_is_there(address).await)),
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// For questions that have their own patience.
    pub fn line(&self) -> &Pd {
        &self.pd
    }

    /// The region at a position, as PD knows it.
    ///
    /// # Errors
    /// There is no answer, in words.
    pub async fn region_at(&self, position: &[u8]) -> Result<GetRegionResponse, String> {
        let region_key = position.to_vec().into();
        let ask =
            GetRegionRequest { header: Some(self.pd.header()), region_key, ..Default::default() };
        self.ask(self.pd.client().get_region(ask)).await
    }

    /// A region by its id.
    ///
    /// # Errors
    /// As [`Scheduler::region_at`].
    pub async fn region_by_id(&self, region_id: u64) -> Result<GetRegionResponse, String> {
        let header = Some(self.pd.header());
        let ask = GetRegionByIdRequest { header, region_id, ..Default::default() };
        self.ask(self.pd.client().get_region_by_id(ask)).await
    }

    /// All stores.
    ///
    /// # Errors
    /// As [`Scheduler::region_at`].
    pub async fn stores(&self) -> Result<Vec<Store>, String> {
        let ask = GetAllStoresRequest { header: Some(self.pd.header()), ..Default::default() };
        Ok(self.ask(self.pd.client().get_all_stores(ask)).await?.stores)
    }

    async fn ask<T>(
        &self,
        asking: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, String> {
        let address = &self.address;
        match timeout(PATIENCE, asking).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(format!("PD at {address}: {}", said(&status))),
            Err(_) => Err(format!("PD at {address} has not answered for {} s", PATIENCE.as_secs())),
        }
    }
}

/// What a status says, down to the reason: "transport error" alone is none.
pub fn said(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = if text.is_empty() { more } else { format!("{text}: {more}") };
        }
        source = error.source();
    }
    if text.is_empty() { format!("{:?}", status.code()) } else { text }
}

/// Why nobody at this address says of which cluster it is the PD.
async fn who_is_there(address: &str) -> String {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return format!("nobody answers there ({error}). {START}"),
        Err(_) => return format!("nobody answers there. {START}"),
    }
    let ask = async {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let asked = PdClient::new(channel).get_members(GetMembersRequest::default()).await;
        Ok::<_, tonic::transport::Error>(asked.err())
    };
    match timeout(PATIENCE, ask).await {
        Ok(Ok(None)) => "it answers now: try again".into(),
        Ok(Ok(Some(status))) if status.code() == Code::Unimplemented => {
            format!("a store answers there, or another service, and no PD. {START}")
        }
        Ok(Ok(Some(status))) => {
            let said = said(&status);
            format!("who answers there is no PD: the status pages, perhaps ({said}). {START}")
        }
        Ok(Err(error)) => {
            format!("who answers there is no PD: the status pages, perhaps ({error}). {START}")
        }
        Err(_) => format!(
            "somebody takes the connection, and says nothing for {} s. {START}",
            PATIENCE.as_secs()
        ),
    }
}
