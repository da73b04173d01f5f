//! Interoperability: one module for each thing that must fit.

mod attempts;
mod batch_commands;
mod failpoints;
mod group_commit;
mod hostile;
mod hostile_calls;
mod hostile_peer;
mod hostile_store;
mod max_ts;
mod metrics;
mod multi_cluster;
mod pd;
mod playground;
mod process;
mod python;
mod raw_client;
mod real_cluster;
mod service;
mod tasks;
mod txn_client;
mod txn_cluster;
mod wire;
