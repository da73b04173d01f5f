//! Who may ask.
//!
//! The pages listen on loopback. So whoever asks runs on this machine; but a browser on this machine also runs what other
//! people wrote. Three things keep a page from elsewhere out:
//!
//! - It may *send* a request here, and not read the answer. So what changes something wants a token that only the answer of
//!   `/` has.
//! - It may bend its own name to our address (DNS rebinding), and then it may read. But its requests name that name: we
//!   answer only to an address, or to `localhost`.
//! - It says where it is from (`Origin`). That must be us.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq as _;

/// The header that carries the token.
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-tinykv-token");

fn refused(text: &'static str) -> Response {
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Lets only those in who ask for an address, or for `localhost`.
pub(super) async fn no_foreign_name(request: Request, next: Next) -> Response {
    match host(request.headers()) {
        Some(host) if is_ours(host) => next.run(request).await,
        _ => refused("ask for this page by its address, such as http://127.0.0.1:2381/\n"),
    }
}

/// Whether a request may change something.
///
/// # Errors
/// What to say instead.
pub(super) fn may_change(headers: &HeaderMap, token: &str) -> Result<(), &'static str> {
    let host = host(headers).filter(|host| is_ours(host)).ok_or("ask by an address\n")?;
    if let Some(origin) = headers.get(ORIGIN)
        && origin.as_bytes() != format!("http://{host}").as_bytes()
    {
        return Err("a page from elsewhere may not ask for this\n");
    }
    let given = headers.get(TOKEN).map_or(&[][..], |value| value.as_bytes());
    // In constant time: how long it takes must not say how much of it was right.
    if bool::from(given.ct_eq(token.as_bytes())) {
        return Ok(());
    }
    Err("the token is not that of this playground: load the page again\n")
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

/// A literal address or `localhost`, with or without a port.
fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_name_that_somebody_may_have_bent_is_not_ours() {
        for host in ["127.0.0.1:2381", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:2381"] {
            assert!(is_ours(host), "{host}");
        }
        for host in ["evil.example:2381", "127.0.0.1.evil.example", "localhost.evil.example:1", ""]
        {
            assert!(!is_ours(host), "{host}");
        }
    }

    #[test]
    fn a_change_wants_the_token_and_no_foreign_page() {
        let asked = |host: &'static str, origin: Option<&'static str>, token: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            headers.insert(TOKEN, HeaderValue::from_static(token));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            may_change(&headers, "secret").is_ok()
        };
        let ours = "127.0.0.1:2381";
        assert!(asked(ours, None, "secret"), "a command");
        assert!(asked(ours, Some("http://127.0.0.1:2381"), "secret"), "our page");
        assert!(!asked(ours, Some("http://evil.example"), "secret"), "a page from elsewhere");
        assert!(!asked(ours, Some("http://127.0.0.1:9999"), "secret"), "a page of another port");
        assert!(!asked(ours, Some("null"), "secret"), "a page without a place");
        assert!(!asked("evil.example", Some("http://evil.example"), "secret"), "a bent name");
        for token in ["", "secre", "secret2", "SECRET"] {
            assert!(!asked(ours, None, token), "`{token}`");
        }
        assert!(may_change(&HeaderMap::new(), "").is_err(), "no host at all");
    }
}
