//! Catches a panic together with its message and place, without printing it.
//!
//! The message goes into the failure text, once; a test program that also dumped it on the terminal
//! would bury the first failure under the noise of the others.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// A panic that was caught.
#[derive(Debug, Clone, Default)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// `file:line`, or empty.
    pub at: String,
}

thread_local! {
    // Some(_) while `catch` is on the stack of this thread.
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `f`; a panic in it comes back as an error instead of text on the terminal.
///
/// # Errors
/// The panic, if there was one.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let caught = CAUGHT.with_borrow_mut(|slot| {
                let Some(slot) = slot else { return false };
                let at = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
                *slot = Panic { message: text(info.payload()), at: at.unwrap_or_default() };
                true
            });
            if !caught {
                loud(info);
            }
        }));
    });
    let outer = CAUGHT.replace(Some(Panic::default()));
    // The subject is dropped after a panic, the test's own state is not looked at again.
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let caught = CAUGHT.replace(outer);
    result.map_err(|payload| {
        let mut panic = caught.unwrap_or_default();
        if panic.message.is_empty() {
            // The hook was replaced, or the panic was resumed from another thread.
            panic.message = text(&*payload);
        }
        panic
    })
}

fn text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
