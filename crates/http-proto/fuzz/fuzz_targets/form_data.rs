//! Hands what the fuzzer makes up to [`http_proto_fuzz::form_data::check`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_proto_fuzz::form_data::check(data));
