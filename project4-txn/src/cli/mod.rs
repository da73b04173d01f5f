//! The commands.

pub mod bench;
mod calls;
pub mod client;
pub mod ctl;
pub mod http;
mod pd;
pub mod playground;
pub mod process;
pub mod show;
mod tso;
mod txn;
