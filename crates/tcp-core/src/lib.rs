//! tcp-core
