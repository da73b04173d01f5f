//! The dashboard: what a browser shows, and who may press its buttons.

use interop::browser::{Browser, chromium};

use super::running::{Playground, http, until};

/// Regions on the page that this store leads.
fn led_by(store: &str) -> String {
    format!(
        "[...document.querySelectorAll('#strip .region')].filter(r => r.dataset.leader === '{store}').length"
    )
}

/// Something in the card of a store.
fn card(store: &str, rest: &str) -> String {
    format!("document.querySelector('.store[aria-label=\"store {store}\"]'){rest}")
}

#[test]
fn a_store_is_killed_in_the_browser_and_the_strip_changes() {
    let Some(program) = chromium() else {
        eprintln!(
            "SKIPPED: there is no Chromium on this machine (Debian: apt-get install chromium)"
        );
        return;
    };
    let mut browser = Browser::start(&program, 1280, 1180);
    let playground = Playground::start();
    playground.wait_for_copies();
    for key in ["account/5000", "bank/", "customer/", "mail/", "photo/", "user5"] {
        playground.says(&["split", key]);
    }
    browser.open(&format!("http://{}/", playground.status));
    browser.until("document.querySelectorAll('#strip .region').length === 8");
    // Something to see: a bank, by its button.
    browser.eval("[...document.querySelectorAll('#actions button')].find(b => b.textContent === 'run').click()");
    browser.until("/[1-9][0-9]* transfers/.test(document.querySelector('#bank').textContent)");
    browser.until("[...document.querySelectorAll('.store .state')].filter(s => s.textContent === 'alive').length === 3");
    browser.until("[...document.querySelectorAll('.store .v-writes')].some(v => /[1-9].*ms/.test(v.textContent))");
    browser.eval("document.querySelectorAll('#strip .region')[2].click()");
    browser.until("document.querySelector('#region').textContent.includes('voter')");

    // The store that leads most dies by a click.
    let busiest = "(() => { const n = {}; for (const r of document.querySelectorAll('#strip .region')) n[r.dataset.leader] = (n[r.dataset.leader] || 0) + 1; return Object.entries(n).sort((a, b) => b[1] - a[1])[0][0]; })()";
    let store = browser.eval(busiest).as_str().expect("a store").to_owned();
    assert!(browser.eval(&led_by(&store)).as_f64() > Some(0.), "nothing is led by store {store}");
    browser.eval(&card(&store, ".querySelector('button.danger[data-when=runs]').click()"));
    browser
        .until(&format!("{} === 'killed'", card(&store, ".querySelector('.state').textContent")));
    browser.until(&format!("{} === 0 && ![...document.querySelectorAll('#strip .region')].some(r => r.dataset.leader === '0')", led_by(&store)));
    let command = browser.eval("document.querySelector('#command').textContent");
    assert_eq!(command, format!("cargo tinykv ctl kill-store {store}"));
    let events = browser.eval("document.querySelector('#events').textContent").to_string();
    assert!(events.contains(&format!("store {store}: alive, now killed")), "{events}");
    assert!(events.contains(&format!("store {store} led, now store ")), "{events}");

    browser.eval(&card(&store, ".querySelector('button[data-when=away]').click()"));
    browser.until(&format!("{} === 'alive'", card(&store, ".querySelector('.state').textContent")));
    // Whatever died: the money is there.
    let bank = browser.eval("document.querySelector('#bank').textContent").to_string();
    assert!(!bank.contains("wrong"), "{bank}");
    // And a keyboard is enough: the first region can be reached and pressed.
    let focus = browser.eval("(() => { const r = document.querySelector('#strip .region'); r.focus(); return document.activeElement === r && r.tagName === 'BUTTON' && r.getAttribute('aria-label').includes('led by'); })()");
    assert_eq!(focus, true);
}

#[test]
fn only_the_page_itself_may_change_something() {
    let playground = Playground::start();
    let ours = playground.status.clone();
    let (status, page) = playground.http(&format!("GET / HTTP/1.1\r\nHost: {ours}"));
    assert!(status.contains("200"), "{status}");
    let (_, rest) = page.split_once("name=\"token\" content=\"").expect("the page has a token");
    let token = &rest[..rest.find('"').expect("it ends")];
    assert_eq!(token.len(), 32, "{token}");
    let post = |host: &str, more: &str| {
        playground.http(&format!("POST /control/bank/end HTTP/1.1\r\nHost: {host}{more}")).0
    };
    let with = |token: &str| format!("\r\nx-tinykv-token: {token}");
    let refused = [
        ("no token", post(&ours, "")),
        ("a wrong token", post(&ours, &with("0123456789abcdef0123456789abcdef"))),
        (
            "a page from elsewhere",
            post(&ours, &format!("{}\r\nOrigin: http://evil.example", with(token))),
        ),
        ("a name bent to our address", post("evil.example", &with(token))),
    ];
    for (who, status) in refused {
        assert!(status.contains("403"), "{who}: {status}");
    }
    // With it, the bank says that there is none to end.
    assert!(post(&ours, &with(token)).contains("400"));
    let own = format!("{}\r\nOrigin: http://{ours}", with(token));
    assert!(post(&ours, &own).contains("400"));
    // Who has bent a name to our address does not get the page, and so no token.
    let (status, page) = playground.http("GET / HTTP/1.1\r\nHost: evil.example:80");
    assert!(status.contains("403") && !page.contains(token), "{status}");
    // The scheduler's own orders are for commands, not for pages.
    let order = format!(
        "POST /regions/2/remove-peer/1 HTTP/1.1\r\nHost: {ours}\r\nOrigin: http://evil.example"
    );
    assert!(playground.http(&order).0.contains("403"));
}

#[test]
fn a_store_shows_what_it_has_and_has_no_buttons() {
    let playground = Playground::start();
    playground.wait_for_copies();
    let (_, status) =
        playground.http(&format!("GET /status HTTP/1.1\r\nHost: {}", playground.status));
    assert!(status.contains("\"stores\""), "{status}");
    // Where a store's pages are, the scheduler knows; the welcome says it, too.
    let page = playground.store_pages();
    let (status, html) = http(&page, &format!("GET / HTTP/1.1\r\nHost: {page}"));
    assert!(
        status.contains("200") && html.contains("name=\"token\" content=\"\""),
        "{status}: {html}"
    );
    let (status, _) = http(&page, &format!("POST /control/stores/1/kill HTTP/1.1\r\nHost: {page}"));
    assert!(status.contains("404"), "{status}");
    let told = || {
        let (_, numbers) = http(&page, &format!("GET /dashboard/numbers HTTP/1.1\r\nHost: {page}"));
        serde_json::from_str::<serde_json::Value>(&numbers).expect("it is JSON")
    };
    // Each of them moves.
    for n in 0..5 {
        playground.says(&["txn", "put", &format!("key{n}"), "value"]);
        playground.says(&["txn", "get", &format!("key{n}")]);
    }
    until("counts of log commits", || told()["append"]["count"].as_u64() > Some(0));
    assert_eq!(told()["old_locks"], 0);
}
