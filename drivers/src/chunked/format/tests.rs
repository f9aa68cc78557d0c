//! The documents against Cinder's own examples, and against garbage.

use proptest::prelude::*;

use super::*;

fn backup() -> Backup {
    Backup {
        id: "b1".into(),
        volume_id: "v1".into(),
        display_name: Some("été \u{1f600}\u{7f}\n".into()),
        created_at: "2027-03-04T05:06:05Z".parse().expect("a valid time"),
        ..Backup::default()
    }
}

fn objects() -> Vec<DataObject> {
    let object = |index, offset, length, compression: &str| DataObject {
        name: object_name("p", index),
        offset,
        length,
        compression: compression.into(),
        md5: [index as u8; 16],
    };
    vec![object(1, 0, 10, "zlib"), object(2, 10, 5, "none")]
}

#[test]
fn metadata_are_written_as_python_writes_them() {
    let expected = r#"{
  "backup_description": null,
  "backup_id": "b1",
  "backup_name": "\u00e9t\u00e9 \ud83d\ude00\u007f\n",
  "created_at": "2027-03-04 05:06:05+00:00",
  "objects": [
    {
      "p-00001": {
        "compression": "zlib",
        "length": 10,
        "md5": "01010101010101010101010101010101",
        "offset": 0
      }
    },
    {
      "p-00002": {
        "compression": "none",
        "length": 5,
        "md5": "02020202020202020202020202020202",
        "offset": 10
      }
    }
  ],
  "parent_id": null,
  "version": "1.0.0",
  "volume_id": "v1",
  "volume_meta": null
}"#;
    assert_eq!(String::from_utf8(encode_metadata(&backup(), &objects())).expect("UTF-8"), expected);
}

#[test]
fn a_sha256file_is_written_as_python_writes_it() {
    let expected = format!(
        r#"{{
  "backup_description": null,
  "backup_id": "b1",
  "backup_name": "\u00e9t\u00e9 \ud83d\ude00\u007f\n",
  "chunk_size": 4096,
  "created_at": "2027-03-04 05:06:05+00:00",
  "sha256s": [
    "{}"
  ],
  "version": "1.0.0",
  "volume_id": "v1"
}}"#,
        "ab".repeat(32)
    );
    let hashes = HashList { block: 4096, sha256s: vec![[0xab; 32]] };
    assert_eq!(String::from_utf8(encode_hash_list(&backup(), &hashes)).expect("UTF-8"), expected);
}

#[test]
fn a_backup_without_data_objects_has_an_empty_list() {
    let text = String::from_utf8(encode_metadata(&backup(), &[])).expect("UTF-8");
    assert!(text.contains("\n  \"objects\": [],\n"), "{text}");
}

#[test]
fn what_is_written_reads_back() {
    assert_eq!(decode_metadata("m", &encode_metadata(&backup(), &objects())).expect("valid"), objects());
    let hashes = HashList { block: 4096, sha256s: vec![[1; 32], [2; 32]] };
    assert_eq!(decode_hash_list("s", &encode_hash_list(&backup(), &hashes)).expect("valid"), hashes);
}

#[test]
fn times_show_microseconds_only_when_there_are_some() {
    let check = |time: &str, expected| assert_eq!(timestamp_text(time.parse().expect("a valid time")), expected);
    check("2026-11-21T18:30:00Z", "2026-11-21 18:30:00+00:00");
    check("2026-11-21T19:15:20.330472Z", "2026-11-21 19:15:20.330472+00:00");
    check("2026-11-21T19:15:20.000001Z", "2026-11-21 19:15:20.000001+00:00");
}

#[test]
fn names_grow_a_sixth_digit() {
    assert_eq!(object_name("p", 1), "p-00001");
    assert_eq!(object_name("p", 99_999), "p-99999");
    assert_eq!(object_name("p", 100_000), "p-100000");
}

#[test]
fn wrong_metadata_are_an_invalid_backup_that_names_the_object() {
    let entry = |md5: &str, offset: &str, length: &str| {
        format!(
            r#"{{"version": "1.0.0", "objects": [{{"x": {{"compression": "none", "length": {length}, "md5": "{md5}", "offset": {offset}}}}}]}}"#
        )
    };
    let md5 = "0".repeat(32);
    let check = |body: &str, expected: &str| {
        let error = decode_metadata("m", body.as_bytes()).expect_err(body);
        assert_eq!(error.kind, Kind::InvalidBackup);
        assert!(error.what.starts_with("object m: ") && error.what.contains(expected), "{}", error.what);
    };
    check("", "not the expected document");
    check("[]", "not the expected document");
    check(r#"{"version": 1, "objects": []}"#, "not the expected document");
    check(r#"{"version": "1.0.0"}"#, "not the expected document");
    check(r#"{"version": "1.2.0", "objects": []}"#, "version \"1.2.0\" cannot be read");
    check(r#"{"version": "1.0.0", "objects": [{}]}"#, "not the expected document");
    check(&entry("zz", "0", "1"), "md5 of x");
    check(&entry(&md5, "18446744073709551615", "1"), "x cannot hold 1 bytes at offset");
    check(&entry(&md5, "0", "0"), "x cannot hold 0 bytes");
    check(&entry(&md5, "-1", "1"), "not the expected document");
    check(&entry(&md5, "1e30", "1"), "not the expected document");
    assert!(decode_metadata("m", entry(&md5, "0", "1").as_bytes()).is_ok());
}

#[test]
fn a_wrong_sha256file_is_an_invalid_backup() {
    let check = |body: &str| {
        assert_eq!(decode_hash_list("s", body.as_bytes()).expect_err(body).kind, Kind::InvalidBackup);
    };
    check(r#"{"version": "1.0.0", "chunk_size": 0, "sha256s": []}"#);
    check(r#"{"version": "1.0.0", "chunk_size": 4096, "sha256s": ["abc"]}"#);
    check(r#"{"version": "2.0.0", "chunk_size": 4096, "sha256s": []}"#);
    let sha = "0".repeat(64);
    check(&format!(r#"{{"version": "1.0.0", "chunk_size": 18446744073709551615, "sha256s": ["{sha}", "{sha}"]}}"#));
}

proptest! {
    #[test]
    fn garbage_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_metadata("m", &body).is_err());
        prop_assert!(decode_hash_list("s", &body).is_err());
    }

    #[test]
    fn damaged_metadata_never_panic(at in 0usize..500, byte: u8, cut in 0usize..500) {
        let mut body = encode_metadata(&backup(), &objects());
        let at = at % body.len();
        body[at] = byte;
        let _ = decode_metadata("m", &body);
        body.truncate(cut);
        let _ = decode_metadata("m", &body);
        let _ = decode_hash_list("m", &body);
    }
}
