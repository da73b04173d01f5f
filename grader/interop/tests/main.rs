//! Interoperability: one module for each thing that must fit.

mod wire;
