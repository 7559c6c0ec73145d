//! Hands what the fuzzer makes up to [`http_proto_fuzz::multipart::check`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_proto_fuzz::multipart::check(data));
