//! http-proto
