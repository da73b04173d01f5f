//! The commands.

mod client;
pub mod ctl;
pub mod playground;
pub mod process;
