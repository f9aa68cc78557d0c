//! The document against the original's examples, and against garbage.

use super::*;

/// The original's own text, and those that real backups of the original hold.
const EXAMPLE: &str = include_str!("../../tests/data/volume-metadata.json");

fn map(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn encrypted() -> VolumeRow {
    VolumeRow {
        id: "v".into(),
        display_name: Some("db".into()),
        display_description: Some("the database".into()),
        volume_type_id: Some("luks".into()),
        encryption_key_id: Some("k".into()),
        metadata: map(&[("purpose", "db")]),
        volume_glance_metadata: map(&[("image_name", "tiny")]),
        ..VolumeRow::default()
    }
}

#[test]
fn the_originals_example_is_read() {
    let restored = read(EXAMPLE).unwrap();
    assert_eq!(restored.display_name.as_deref(), Some("db-data"));
    assert_eq!(restored.encryption_key_id, Some(None));
    assert_eq!(restored.metadata, Some(map(&[("purpose", "db")])));
    assert_eq!(restored.volume_glance_metadata, None);
}

#[test]
fn what_is_written_has_the_originals_parts_in_their_order() {
    let keys = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap().keys().cloned().collect();
    let expected: Vec<String> = keys(EXAMPLE);
    let mut plain = encrypted();
    plain.volume_glance_metadata.clear();
    assert_eq!(keys(&write(&plain, 2)), expected);
    assert_eq!(keys(&write(&VolumeRow::default(), 2)), expected[..2]);
    assert_eq!(keys(&write(&encrypted(), 2)), [&expected[..], &["volume-glance-metadata".into()]].concat());
}

#[test]
fn what_is_written_restores_onto_a_nameless_volume() {
    let mut target =
        VolumeRow { id: "t".into(), display_name: Some("restore_backup_b".into()), ..VolumeRow::default() };
    read(&write(&encrypted(), 2)).unwrap().apply(&mut target);
    let expected = VolumeRow { id: "t".into(), bootable: true, encryption_key_id: None, ..encrypted() };
    assert_eq!(target, expected, "all but the key");
}

#[test]
fn a_target_with_a_name_keeps_it() {
    for (saved, own, expected) in [
        (Some("db"), Some("mine"), Some("mine")),
        (Some("db"), Some("restore_backup_1"), Some("db")),
        (Some("db"), Some(""), Some("db")),
        (Some("db"), None, Some("db")),
        (None, Some("restore_backup_1"), Some("restore_backup_1")),
        (Some(""), None, None),
    ] {
        let source = VolumeRow { display_name: saved.map(str::to_owned), ..encrypted() };
        let mut target = VolumeRow { display_name: own.map(str::to_owned), ..VolumeRow::default() };
        read(&write(&source, 2)).unwrap().apply(&mut target);
        assert_eq!(target.display_name.as_deref(), expected, "{saved:?} onto {own:?}");
    }
}

#[test]
fn a_backup_without_metadata_leaves_the_targets() {
    let mut target = encrypted();
    read(&write(&VolumeRow::default(), 2)).unwrap().apply(&mut target);
    assert_eq!(target, encrypted());
}

#[test]
fn the_first_version_tells_no_key() {
    for (version, expected) in [(1, None), (2, Some(Some("k".to_owned())))] {
        assert_eq!(read(&write(&encrypted(), version)).unwrap().encryption_key_id, expected, "version {version}");
    }
}

#[test]
fn an_encrypted_backup_needs_a_volume_of_its_type() {
    for (key, own, fits) in [
        (Some("k"), None, true),
        (Some("k"), Some("luks"), true),
        (Some("k"), Some("fast"), false),
        (None, Some("fast"), true),
    ] {
        let source = VolumeRow { encryption_key_id: key.map(str::to_owned), ..encrypted() };
        let target = VolumeRow { volume_type_id: own.map(str::to_owned), ..VolumeRow::default() };
        assert_eq!(read(&write(&source, 2)).unwrap().check(&target).is_ok(), fits, "{key:?} onto {own:?}");
    }
}

#[test]
fn where_a_volume_came_from_travels_as_the_originals_metadata() {
    let source = VolumeRow { src_backup_id: Some("b".into()), ..encrypted() };
    let text = write(&source, 2);
    assert!(text.contains(r#""src_backup_id":"b""#), "{text}");
    assert_eq!(read(&text).unwrap().metadata, Some(source.metadata));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let check =
        |text: &str, expected: &str| assert_eq!(read(text).unwrap_err().what, format!("volume_meta: {expected}"));
    check("", "it is not a JSON object");
    check("[]", "it is not a JSON object");
    check("{}", "version null cannot be read, only 1 to 2");
    check(r#"{"version": 3}"#, "version 3 cannot be read, only 1 to 2");
    check(r#"{"version": "2"}"#, "version \"2\" cannot be read, only 1 to 2");
    check(r#"{"version": 0}"#, "version 0 cannot be read, only 1 to 2");
    check(r#"{"version": 2, "volume-base-metadata": []}"#, "volume-base-metadata is not an object");
    check(r#"{"version": 2, "volume-base-metadata": {"display_name": 1}}"#, "display_name is neither a text nor null");
    check(r#"{"version": 2, "volume-metadata": {"a": []}}"#, "volume-metadata is not an object of texts");
}
