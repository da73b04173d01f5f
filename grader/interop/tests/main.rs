//! Interoperability: one module for each thing that must fit.

mod process;
mod raw_client;
mod wire;
