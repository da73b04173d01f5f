//! Interoperability: one module for each thing that must fit.

mod group_commit;
mod hostile;
mod hostile_peer;
mod multi_cluster;
mod pd;
mod playground;
mod process;
mod raw_client;
mod real_cluster;
mod service;
mod tasks;
mod txn_client;
mod txn_cluster;
mod wire;
