//! Headers of answers: authentication v1 and v3, Retry-After, as lines of `name: value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::parsers::headers(data));
