//! Interoperability: one module for each thing that must fit.

mod group_commit;
mod pd;
mod process;
mod raw_client;
mod service;
mod wire;
