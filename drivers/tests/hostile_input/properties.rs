//! What holds of each parser for any bytes at all. The tests here and the fuzz targets (`fuzz/`) assert the same.
//!
//! Nothing panics; what is refused is refused with the right kind and a text that people can read; what is accepted is
//! within its bounds and reads back as it was written.

use bytes::Bytes;
use clinker_drivers::chunked::compress::Algorithm;
use clinker_drivers::chunked::format;
use clinker_drivers::http::Url;
use clinker_drivers::{Backup, Error, Kind, Options, fuzzing};

/// The prefix of listings that are asked for.
pub const PREFIX: &str = "volume_1";

/// Bytes that a fuzzed object may claim to hold, so that a bomb that unpacks to all of them does not take long.
const CLAIM_MAX: u64 = 4 << 20;

/// A text for people: one line, not endless, and of one of the kinds.
#[track_caller]
fn check(error: &Error, kinds: &[Kind]) {
    assert!(kinds.contains(&error.kind), "{error}");
    assert!(!error.what.is_empty() && error.what.len() < 4096, "{} bytes", error.what.len());
    assert!(!error.what.contains(char::is_control), "{:?}", error.what);
}

pub fn metadata(body: &[u8]) {
    let invalid = [Kind::InvalidBackup];
    match format::decode_metadata("m", body) {
        Ok(objects) => {
            for object in &objects {
                assert!(object.length > 0 && object.end() > object.offset, "{object:?}");
                if let Err(error) = object.algorithm() {
                    check(&error, &invalid);
                }
            }
            let written = format::encode_metadata(&Backup::default(), &objects);
            assert_eq!(format::decode_metadata("m", &written).expect("it is our own"), objects);
        }
        Err(error) => check(&error, &invalid),
    }
    if let Err(error) = format::decode_origin("m", body) {
        check(&error, &invalid);
    }
    if let Err(error) = format::decode_volume_meta("m", body) {
        check(&error, &invalid);
    }
}

pub fn sha256file(body: &[u8]) {
    match format::decode_hash_list("s", body) {
        Ok(list) => {
            assert!(list.block > 0 && list.block.checked_mul(list.sha256s.len() as u64).is_some());
            let written = format::encode_hash_list(&Backup::default(), &list);
            assert_eq!(format::decode_hash_list("s", &written).expect("it is our own"), list);
        }
        Err(error) => check(&error, &[Kind::InvalidBackup]),
    }
}

pub fn s3_xml(body: &[u8]) {
    names(fuzzing::s3_page(PREFIX, &fuzzing::answer(200, &[], body)));
    for status in [301, 400, 403, 404, 409, 412, 429, 503] {
        let (error, _) = fuzzing::s3_refusal(&fuzzing::answer(status, &[], body));
        assert!(!matches!(error.kind, Kind::Cancelled | Kind::ServiceDown), "{error}");
        check(&error, &[error.kind]);
    }
}

pub fn swift_json(body: &[u8]) {
    names(fuzzing::swift_page(PREFIX, &fuzzing::answer(200, &[], body)));
}

/// A delete removes what is listed, and a restore looks names up.
fn names(page: Result<Vec<String>, Error>) {
    match page {
        Ok(names) => {
            assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
            assert!(names.iter().all(|name| name.starts_with(PREFIX)), "{names:?}");
        }
        Err(error) => check(&error, &[Kind::Internal]),
    }
}

pub fn keystone_json(body: &[u8]) {
    let answer = fuzzing::answer(201, &[("X-Subject-Token", b"t")], body);
    account(fuzzing::keystone_account(&Options::default(), &answer));
    let region = Options { backup_swift_region_name: Some("RegionOne".into()), ..Options::default() };
    account(fuzzing::keystone_account(&region, &answer));
}

/// Lines of `name: value`.
pub fn headers(text: &[u8]) {
    let pair = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((String::from_utf8(line[..colon].to_vec()).ok()?, line[colon + 1..].trim_ascii().to_vec()))
    };
    let pairs: Vec<(String, Vec<u8>)> = text.split(|byte| *byte == b'\n').filter_map(pair).collect();
    let pairs: Vec<(&str, &[u8])> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let answer = fuzzing::answer(200, &pairs, b"{\"token\": {}}");
    account(fuzzing::swift_v1_account(&answer));
    account(fuzzing::keystone_account(&Options::default(), &answer));
    let _ = answer.retry_after();
    let (error, retry_after) = fuzzing::s3_refusal(&fuzzing::answer(503, &pairs, b""));
    check(&error, &[Kind::Unreachable]);
    assert_eq!(retry_after, answer.retry_after());
}

fn account(found: Result<Url, Error>) {
    match found {
        Ok(url) => {
            assert!(url.port() != 0 && !url.host().is_empty() && url.path().starts_with('/'), "{url:?}");
            assert!(url.host().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte)), "{url:?}");
            assert!(url.path().bytes().all(|byte| byte.is_ascii_graphic()), "{url:?}");
        }
        Err(error) => check(&error, &[Kind::Internal, Kind::InvalidConfig]),
    }
}

/// The algorithm, the length that the metadata claim (little-endian, within 4 MiB), and the object's bytes.
pub fn unpack(data: &[u8]) {
    let Some(([which, claim @ ..], stored)) = data.split_first_chunk::<4>() else { return };
    let algorithms = [Algorithm::None, Algorithm::Zlib, Algorithm::Bzip2, Algorithm::Zstd];
    let algorithm = algorithms[usize::from(*which) % algorithms.len()];
    let length = u64::from(u32::from_le_bytes([claim[0], claim[1], claim[2], 0])) % CLAIM_MAX;
    match algorithm.unpack(Bytes::copy_from_slice(stored), length) {
        Ok(held) => {
            assert_eq!(held.len() as u64, length);
            if let Some(packed) = algorithm.pack(&held) {
                assert_eq!(algorithm.unpack(packed, length).as_ref(), Ok(&held));
            }
        }
        Err(wrong) => assert!(!wrong.is_empty() && wrong.len() < 200, "{wrong}"),
    }
}
