//! TiKV's wire messages, and its gRPC services behind a feature.
