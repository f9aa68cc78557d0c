//! Pages of S3 listings, and error documents.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::parsers::s3_xml(data));
