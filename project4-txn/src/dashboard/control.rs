//! What a reader of the page may do in the playground, and `tinykv ctl` with the same words.
//!
//! The playground has one owner, its loop: whatever starts or ends a store goes there as an [`Order`], and is answered when
//! it is done. The rest does not need it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use multiraft::raftstore::server::Links;
use multiraft::scheduler::Change;
use multiraft::scheduler::server::Driver;
use proto::kvrpcpb::SplitRegionRequest;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, mpsc, oneshot};
use txn::mvcc::key;
use txn::server::{Slot, State as StoreState};

use super::bank::Bank;
use super::guard;
use crate::AnyError;
use crate::cli::client::Client;
use crate::cli::show::bytes;

/// Orders that may wait for the playground's loop: who has another waits.
const ORDERS: usize = 16;

/// What the playground's loop is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// End a store in order.
    Stop(u64),
    /// End it at once.
    Kill(u64),
    /// Start it again.
    Start(u64),
    /// Add an empty one.
    Add,
}

/// An order, and where the answer goes.
pub type Asked = (Order, oneshot::Sender<Result<String, String>>);

/// What the routes work with.
pub struct Control {
    token: String,
    orders: mpsc::Sender<Asked>,
    links: Links,
    /// A lock because the loop writes and views read; held for a copy.
    slots: Mutex<Vec<Slot>>,
    /// Where PD is: known when the scheduler runs.
    pd: OnceCell<String>,
    client: OnceCell<Arc<Client>>,
    bank: Bank,
}

impl Control {
    /// A new one, with a token of its own, and where its orders come out.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(links: Links) -> Result<(Arc<Control>, mpsc::Receiver<Asked>), AnyError> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|e| format!("there is no randomness: {e}"))?;
        let token = format!("{:032x}", u128::from_le_bytes(secret));
        let (orders, asked) = mpsc::channel(ORDERS);
        let control = Control {
            token,
            orders,
            links,
            slots: Mutex::default(),
            pd: OnceCell::new(),
            client: OnceCell::new(),
            bank: Bank::default(),
        };
        Ok((Arc::new(control), asked))
    }

    /// What only a page that we served knows.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The playground runs: PD is here, and these are its stores.
    pub fn told(&self, pd: &str, slots: Vec<Slot>) {
        // The second time it is known already.
        let _ = self.pd.set(pd.to_owned());
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = slots;
    }

    /// Completes a view.
    pub(super) fn add_to(&self, view: &mut Value) {
        view["from"] = "playground".into();
        view["links"] = json!(self.links.all());
        view["bank"] = self.bank.says().into();
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for store in view["stores"].as_array_mut().into_iter().flatten() {
            let Some(slot) = slots.iter().find(|slot| store["id"] == slot.id) else { continue };
            store["runs"] = (slot.state == StoreState::Runs).into();
            store["why"] = match slot.state {
                StoreState::Runs => Value::Null,
                StoreState::Stopped => "stopped".into(),
                StoreState::Killed => "killed".into(),
            };
        }
    }

    async fn order(&self, order: Order) -> Result<String, String> {
        let (answer, told) = oneshot::channel();
        let away = || "the playground is ending".to_owned();
        self.orders.send((order, answer)).await.map_err(|_| away())?;
        told.await.map_err(|_| away())?
    }

    async fn client(&self) -> Result<&Arc<Client>, String> {
        let pd = self.pd.get().ok_or("the playground is just starting")?;
        let connect = async || Client::connect(pd).await.map(Arc::new).map_err(|e| e.to_string());
        self.client.get_or_try_init(connect).await
    }

    async fn split(&self, at: &str) -> Result<String, String> {
        if at.is_empty() {
            return Err("where? Give a key".into());
        }
        let at = bytes(at)?;
        let position = key::encode(&at);
        let ask = SplitRegionRequest { split_keys: vec![at.into()], ..Default::default() };
        let answer = self.client().await?.ask(&position, ask).await.map_err(|e| e.to_string())?;
        let new = answer.regions.iter().map(|region| region.id.to_string()).collect::<Vec<_>>();
        Ok(format!("split: regions {}", new.join(" and ")))
    }
}

type Shared = (Arc<Control>, Arc<Driver>);
type Said = Result<String, (StatusCode, String)>;

fn said(done: Result<String, String>) -> Said {
    done.map(|text| text + "\n").map_err(|why| (StatusCode::BAD_REQUEST, why + "\n"))
}

/// The routes. Each wants the token.
pub(super) fn routes(control: Arc<Control>, driver: Arc<Driver>) -> Router {
    Router::new()
        .route("/control/stores/add", post(add))
        .route("/control/stores/{id}/{what}", post(store))
        .route("/control/links/{one}/{other}/{what}", post(link))
        .route("/control/regions/{id}/transfer-leader/{store}", post(transfer))
        .route("/control/split", post(split))
        .route("/control/bank/{what}", post(bank))
        .layer(from_fn_with_state(control.clone(), with_token))
        .with_state((control, driver))
}

async fn with_token(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    match guard::may_change(request.headers(), &control.token) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, why).into_response(),
    }
}

async fn add(State((control, _)): State<Shared>) -> Said {
    said(control.order(Order::Add).await)
}

async fn store(State((control, _)): State<Shared>, Path((id, what)): Path<(u64, String)>) -> Said {
    let order = match what.as_str() {
        "stop" => Order::Stop(id),
        "kill" => Order::Kill(id),
        "start" => Order::Start(id),
        _ => return Err((StatusCode::NOT_FOUND, format!("a store cannot `{what}`\n"))),
    };
    said(control.order(order).await)
}

async fn link(
    State((control, _)): State<Shared>,
    Path((one, other, what)): Path<(u64, u64, String)>,
) -> Said {
    let slots = control.slots.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if one == other || [one, other].iter().any(|id| !slots.iter().any(|slot| slot.id == *id)) {
        return said(Err(format!("there is no link from store {one} to store {other}")));
    }
    match what.as_str() {
        "cut" => control.links.cut(one, other),
        "mend" => control.links.mend(one, other),
        _ => return Err((StatusCode::NOT_FOUND, format!("a link cannot `{what}`\n"))),
    }
    said(Ok(format!("stores {one} and {other}: {what}")))
}

async fn transfer(State((_, driver)): State<Shared>, Path((region, to)): Path<(u64, u64)>) -> Said {
    let change = vec![Change::Transfer { to }];
    let taken = driver.tell(|cluster, times| cluster.admin(region, change, times.uptime));
    said(match taken {
        Ok(Ok(())) => Ok("taken up".into()),
        Ok(Err(why)) => Err(why.to_string()),
        Err(status) => Err(status.message().into()),
    })
}

async fn split(
    State((control, _)): State<Shared>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Said {
    said(control.split(asked.get("key").map_or("", String::as_str)).await)
}

async fn bank(
    State((control, _)): State<Shared>,
    Path(what): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Said {
    match what.as_str() {
        "run" => {
            let clients = asked.get("clients").map_or("8", String::as_str);
            let clients = clients.parse().ok().filter(|n| (1..=64).contains(n));
            let Some(clients) = clients else {
                return said(Err("`clients` may be 1 to 64".into()));
            };
            match control.client().await {
                Ok(client) => said(control.bank.run(client.clone(), clients)),
                Err(why) => said(Err(why)),
            }
        }
        "end" => said(control.bank.end()),
        _ => Err((StatusCode::NOT_FOUND, format!("a bank cannot `{what}`\n"))),
    }
}
