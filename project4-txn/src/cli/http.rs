//! The little of HTTP that it takes to ask a status page on this machine.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::AnyError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Asks, and returns what is said. `header` is a whole line.
///
/// # Errors
/// Nobody is there, or what he says instead.
pub async fn ask(
    method: &str,
    addr: &str,
    path: &str,
    header: Option<&str>,
) -> Result<String, AnyError> {
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await?;
        let line = header.map(|line| format!("{line}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {addr}\r\n{line}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let late = || format!("the status pages at {addr} did not answer for {} s", PATIENCE.as_secs());
    let answer = timeout(PATIENCE, exchange).await.map_err(|_| late())?;
    let answer = answer.map_err(|e| {
        format!(
            "the status pages at {addr} cannot be reached ({e}): name the scheduler's with --status"
        )
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = body.trim().to_owned();
    match head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_whitespace().next()) {
        Some("200") => Ok(body),
        Some(code) if body.is_empty() => {
            Err(format!("the status pages at {addr} answer {code} to {method} {path}").into())
        }
        Some(_) => Err(body.into()),
        None => Err(format!(
            "who answers at {addr} are no status pages: name the scheduler's with --status"
        )
        .into()),
    }
}
