//! `multiraft-store` with places at which it can be made to die; see `multiraft::failpoints`. For tests.

#[path = "multiraft-store.rs"]
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    // What `FAILPOINTS` says holds as long as this lives.
    let _scenario = fail::FailScenario::setup();
    store::main()
}
