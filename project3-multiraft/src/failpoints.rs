//! Places at which a real store can be made to die, wait or be slow, under the names that TiKV's tests know.
//!
//! The simulator crashes a store between any two effects. This is for the real one, with its threads, files and sockets:
//!
//! ```sh
//! cargo build -p multiraft --features failpoints --bin multiraft-store-failpoints
//! FAILPOINTS='raft_after_save=100*off->return' multiraft-store-failpoints ...
//! ```
//!
//! passes the place a hundred times, and at the next dies there, as by kill -9: `return` ends the process without another word.
//! `pause`, `sleep(MILLISECONDS)`, `print`, `panic` and `25%ACTION` are the crate `fail`'s own. Without the feature nothing of
//! this is compiled, and the crate is not even built.
//!
//! | name | where | what is on the disk then |
//! |---|---|---|
//! | `raft_before_save` | the log writer, before a commit | messages of the round may have left; its entries have not come |
//! | `raft_after_save` | the log writer, behind it | entries and votes that nobody was told of |
//! | `on_handle_apply` | before a commit of the data | committed entries, not applied |
//! | `raft_between_save` | the data writer, behind a durable commit | a split, a change or a tombstone, without what rests on it in the log |
//! | `apply_before_split` | a split was executed, in memory | nothing of it |
//! | `apply_after_split` | the split is durable, its new peers were born | both regions; no raft state of the new one |
//! | `region_gen_snap` | the region worker, a snapshot was built | nothing new |
//! | `region_apply_snap` | the region worker, before a snapshot is installed | its parts |

/// This place was reached.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &str) {
    fail::fail_point!(name, |_| die(name));
}

#[cfg(feature = "failpoints")]
fn die(name: &str) {
    tracing::error!(name, "this is where it was to die");
    std::process::abort()
}

/// This place was reached.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reached(_: &str) {}
