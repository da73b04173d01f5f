//! The dashboard: a cluster, live, in a browser.
//!
//! A scheduler, a store and the playground serve the same page at their status address. Once a second, while somebody
//! looks, a *view* is made: one JSON value with all that the page draws. The page compares it with the last one, and says what
//! has happened. So there is no log of events to keep, and nothing to catch up with: who comes late sees what is.
//!
//! ```text
//!   browser <── /dashboard/events (server-sent) ── views, one a second ──┬─ view: the scheduler's map, stores, operators
//!                                                                       └─ numbers: each store's, at its status address
//!   browser ── POST /control/... (playground only, with the page's token) ──> control ──> orders to the playground
//! ```
//!
//! - [`view`]: what the scheduler knows, or what one store knows, as JSON.
//! - [`numbers`]: what a store measures. The scheduler asks each store for them, at the address where its status pages are.
//! - [`control`]: what a reader may do in the playground.
//! - [`guard`]: who may ask.
//! - `page/`: HTML, CSS and modules as they are served. No build step; nothing comes from elsewhere.

mod bank;
pub mod control;
mod guard;
mod numbers;
mod view;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::from_fn;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt as _};
use multiraft::scheduler::server::Driver;
use serde_json::Value;
use standalone::server::Stop;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use txn::server::Watch;

use control::Control;

/// Between two views.
const EVERY: Duration = Duration::from_secs(1);

/// Nothing from elsewhere, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = include_str!("page/index.html");

/// What the page loads.
const FILES: [(&str, &str, &str); 10] = [
    ("/dashboard/style.css", "text/css", include_str!("page/style.css")),
    ("/dashboard/main.js", "text/javascript", include_str!("page/main.js")),
    ("/dashboard/dom.js", "text/javascript", include_str!("page/dom.js")),
    ("/dashboard/strip.js", "text/javascript", include_str!("page/strip.js")),
    ("/dashboard/stores.js", "text/javascript", include_str!("page/stores.js")),
    ("/dashboard/rates.js", "text/javascript", include_str!("page/rates.js")),
    ("/dashboard/events.js", "text/javascript", include_str!("page/events.js")),
    ("/dashboard/charts.js", "text/javascript", include_str!("page/charts.js")),
    ("/dashboard/control.js", "text/javascript", include_str!("page/control.js")),
    ("/dashboard/operators.js", "text/javascript", include_str!("page/operators.js")),
];

/// The pages of a scheduler.
pub fn of_scheduler(driver: Arc<Driver>) -> Router {
    let stop = driver.stop();
    let views = publish(stop.clone(), move || view::of_cluster(driver.clone()));
    pages(views, "", stop)
}

/// The pages of a playground: the scheduler's, with the buttons.
pub fn of_playground(driver: Arc<Driver>, control: Arc<Control>) -> Router {
    let stop = driver.stop();
    let (asked, seen) = (driver.clone(), control.clone());
    let views = publish(stop.clone(), move || {
        let (asked, seen) = (asked.clone(), seen.clone());
        async move {
            let mut view = view::of_cluster(asked).await;
            seen.add_to(&mut view);
            view
        }
    });
    pages(views, control.token(), stop).merge(control::routes(control, driver))
}

/// The pages of a store.
pub fn of_store(watch: Watch) -> Router {
    let asked = watch.clone();
    let views = publish(watch.stop(), move || view::of_store(asked.clone()));
    let numbers = Router::new()
        .route(
            numbers::PATH,
            get(async |State(watch): State<Watch>| Json(numbers::of(&watch).await)),
        )
        .with_state(watch.clone());
    pages(views, "", watch.stop()).merge(numbers)
}

/// Makes a view each second while somebody looks, until `stop`.
fn publish<F>(stop: Stop, make: impl Fn() -> F + Send + 'static) -> watch::Sender<String>
where
    F: Future<Output = Value> + Send,
{
    let (views, _) = watch::channel(String::new());
    let publisher = views.clone();
    tokio::spawn(async move {
        let mut beats = stop.beats(EVERY);
        while beats.wait().await {
            if publisher.receiver_count() > 0 {
                publisher.send_replace(make().await.to_string());
            }
        }
    });
    views
}

#[derive(Clone)]
struct Pages {
    views: watch::Sender<String>,
    html: Arc<str>,
    stop: Stop,
}

fn pages(views: watch::Sender<String>, token: &str, stop: Stop) -> Router {
    let html = HTML.replace("{token}", token).into();
    let mut router = Router::new().route("/", get(page)).route("/dashboard/events", get(events));
    for (path, kind, text) in FILES {
        router = router.route(path, get(async move || ([(CONTENT_TYPE, kind)], text)));
    }
    router.layer(from_fn(guard::no_foreign_name)).with_state(Pages { views, html, stop })
}

async fn page(State(pages): State<Pages>) -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, pages.html.to_string()).into_response()
}

async fn events(
    State(pages): State<Pages>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send> {
    // The last view may be old, if nobody has looked for a while: wait for the next.
    let views = WatchStream::from_changes(pages.views.subscribe());
    let events = views.map(|view| Ok(Event::default().data(view)));
    Sse::new(events.take_until(pages.stop.thrown())).keep_alive(KeepAlive::default())
}
