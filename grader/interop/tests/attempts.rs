//! How many attempts of a call were sent, and never answered.
//!
//! The official client tries again by itself when a connection breaks or a server says that it does not know what became
//! of a request, and tells nobody but its log. Each such attempt may take effect, now or later: a checker must know of
//! it. So tests read that log. A line of it does not say which call it is about; but a thread with one runtime and one
//! call at a time can tell.

use std::cell::Cell;

use log::{LevelFilter, Log, Metadata, Record};

/// Where the client looks at what came of an attempt.
const WHERE: &str = "tikv_client::request::plan";

/// What it says of an attempt without an answer.
const UNANSWERED: &str = "single_shard_handler:execute: grpc error";

/// And of one that never left: nobody was there to connect to.
const UNSENT: &str = "error trying to connect";

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn is_unanswered(line: &str) -> bool {
    line.starts_with(UNANSWERED) && !line.contains(UNSENT)
}

/// Reads the client's log, and keeps none of it.
struct Reader;

impl Log for Reader {
    fn enabled(&self, about: &Metadata) -> bool {
        about.target() == WHERE
    }

    fn log(&self, line: &Record) {
        if !self.enabled(line.metadata()) {
            return;
        }
        if is_unanswered(&line.args().to_string()) {
            COUNT.set(COUNT.get() + 1);
        }
    }

    fn flush(&self) {}
}

/// From now on attempts are counted.
pub fn count() {
    // A second test of this process finds that the first has done it.
    let _ = log::set_logger(&Reader);
    log::set_max_level(LevelFilter::Debug);
}

/// How many attempts on this thread were never answered since somebody asked this.
pub fn unanswered() -> usize {
    COUNT.take()
}

#[tokio::test]
async fn what_a_dead_store_does_not_answer_is_counted() {
    let patience = std::time::Duration::from_secs(20);
    let mut group = interop::group::Group::start(1, &[]);
    let client = crate::tasks::connect(group.addresses(), patience).await;
    count();
    unanswered();
    client.put("key".to_owned(), "value").await.expect("it serves");
    assert_eq!(unanswered(), 0, "what is answered does not count");
    // Of many that are under way when it dies, some were sent. Who comes later finds nobody.
    let mut writing = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        writing.spawn(async move { while client.put("key".to_owned(), "value").await.is_ok() {} });
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    group.kill(0);
    writing.join_all().await;
    assert!(unanswered() > 0, "somebody was waiting for an answer when the store died");
    let refused = "GrpcAPI(Status { code: Unavailable, message: \"error trying to connect: tcp";
    assert!(!is_unanswered(&format!("{UNANSWERED}: {refused}")), "what was never sent counts");
}
