//! Answers to a Keystone v3 authentication.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::parsers::keystone_json(data));
