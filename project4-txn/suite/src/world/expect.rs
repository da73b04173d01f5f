//! Comparing what is with what must be.

use proto::kvrpcpb::KeyError;
use sim::failure::{Failure, Outcome};

use super::Store;
use crate::rows::{Row, show_rows, text, without_marks};

/// A failure: what is wrong, what right would be, what is.
pub fn wrong(
    what: impl Into<String>,
    right: impl std::fmt::Display,
    is: impl std::fmt::Display,
) -> Failure {
    Failure::broke(what, format!("right would be: {right}"), format!("it is:          {is}"))
}

/// A key error for people; nothing: "no error".
pub fn show_error(error: Option<&KeyError>) -> String {
    let Some(error) = error else { return "no error".into() };
    if let Some(lock) = &error.locked {
        return format!("locked: {} by {}", text(&lock.key), lock.lock_version);
    }
    if let Some(conflict) = &error.conflict {
        return format!(
            "conflict ({:?}): {} started {} and committed {}, against {}",
            conflict.reason(),
            conflict.conflict_ts,
            text(&conflict.key),
            conflict.conflict_commit_ts,
            conflict.start_ts
        );
    }
    let mut plain = format!("{error:?}");
    plain.truncate(300);
    plain
}

/// Passes when there is no key error.
///
/// # Errors
/// `what` must succeed, and did not.
pub fn expect_ok<'e>(what: &str, errors: impl IntoIterator<Item = &'e KeyError>) -> Outcome {
    match errors.into_iter().next() {
        None => Ok(()),
        Some(error) => {
            Err(wrong(format!("{what} must succeed"), "no error", show_error(Some(error))))
        }
    }
}

/// Passes when the store holds exactly these rows, in any order.
///
/// # Errors
/// `what` has led to other rows.
pub fn expect_rows(store: &mut Store, what: &str, expected: &[Row]) -> Outcome {
    let seen = store.rows()?;
    let order = |rows: &[Row]| {
        let mut rows: Vec<(String, Row)> =
            without_marks(rows).into_iter().map(|row| (row.show(), row)).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    };
    if order(expected) == order(&seen) {
        return Ok(());
    }
    Err(Failure::broke(
        format!("{what}: the storage holds something else than it should"),
        format!("right would be: {}", show_rows(expected)),
        format!("it holds:       {}", show_rows(&seen)),
    ))
}
