//! Our servers against the official TiKV client.
