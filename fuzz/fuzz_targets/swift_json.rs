//! Pages of Swift listings.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::parsers::swift_json(data));
