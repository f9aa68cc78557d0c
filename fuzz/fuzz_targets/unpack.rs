//! Packed objects: the algorithm, the length that is claimed, the bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::parsers::unpack(data));
