//! Records of backups, as JSON and as base64 of it, and what metadata keep of a volume.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clinker_fuzz::records::record(data));
