//! The time, as an argument: who needs it is handed a [`Clock`] and never asks the machine.

/// Seconds since 1970-01-01 UTC.
pub type UnixSeconds = u64;

/// Tells the time. The server's reads the machine's clock; a test's says what the test wants.
pub trait Clock: Send + Sync + 'static {
    /// The time now. It may step backwards, as wall clocks do; a caller must survive that.
    fn now(&self) -> UnixSeconds;
}
