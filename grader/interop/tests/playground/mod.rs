//! The binary `tinykv` as people use it: a playground, `ctl`, `bench`, and the dashboard in a browser.

mod bench;
mod ctl;
mod dashboard;
mod garbage;
mod running;
