//! Metadata objects.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::parsers::metadata(data));
