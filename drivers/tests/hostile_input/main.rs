//! Whatever a store or server says, it is read or refused: nothing panics, and errors have the right kind.
//!
//! `properties` has what must hold, `changes` how sound documents are damaged. How much memory it takes is in
//! `manager/tests/allocations.rs`; what no random change finds soon, in the rows here and in `fuzz/`.

mod changes;
mod properties;

use std::path::Path;

use changes::{apply, changes};
use clinker_drivers::chunked::compress::Algorithm;
use clinker_drivers::chunked::format::{DataObject, HashList, encode_hash_list, encode_metadata};
use clinker_drivers::{Backup, Options, fuzzing};
use proptest::prelude::*;

/// The body of a recorded answer.
fn captured(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, answer) = text.split_once("--- response\n").unwrap();
    answer.split_once("\n\n").unwrap().1.as_bytes().to_vec()
}

fn metadata() -> Vec<u8> {
    let object = |index: u64| DataObject {
        name: format!("volume_1_20270304050605_backup_b-{index:05}"),
        offset: index * 4096,
        length: 4096,
        compression: ["zlib", "none", "zstd"][index as usize % 3].to_owned(),
        md5: [index as u8; 16],
    };
    encode_metadata(&backup(), &(0..4).map(object).collect::<Vec<_>>())
}

fn sha256file() -> Vec<u8> {
    encode_hash_list(&backup(), &HashList { block: 4096, sha256s: vec![[7; 32]; 4] })
}

fn backup() -> Backup {
    Backup { id: "b".into(), volume_id: "1".into(), volume_meta: Some("{\"version\": 2}".into()), ..Backup::default() }
}

const HEADERS: &[u8] =
    b"X-Storage-Url: http://swift:8080/v1/AUTH_test\nX-Auth-Token: AUTH_tk0\nX-Storage-Token: AUTH_tk0\n\
    X-Subject-Token: t\nRetry-After: 120\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\n";

/// A target's input for an object that was packed.
fn packed(which: u8, algorithm: Algorithm) -> Vec<u8> {
    let data = b"some words, again and again; ".repeat(40);
    let body = algorithm.pack(&data).map_or(data.clone(), Vec::from);
    let length = (data.len() as u32).to_le_bytes();
    [&[which], &length[..3], &body].concat()
}

/// The name of a fuzz target, what it asserts, and sound inputs of it.
type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

fn targets() -> Vec<Target> {
    use properties as of;
    let s3 = ["list-v2-prefix-200.txt", "auth-wrong-region.txt", "bucket-get-404.txt", "bucket-put-again.txt"];
    let swift = ["container-list-prefix-json.txt", "container-get-empty-json.txt"];
    let keystone = ["ks-auth-201.txt", "ks-auth-nocatalog-201.txt", "ks-auth-wrong-password-401.txt"];
    let packed = [
        packed(0, Algorithm::None),
        packed(1, Algorithm::Zlib),
        packed(2, Algorithm::Bzip2),
        packed(3, Algorithm::Zstd),
    ];
    vec![
        ("metadata", of::metadata, vec![metadata(), sha256file()]),
        ("sha256file", of::sha256file, vec![sha256file(), metadata()]),
        ("s3_xml", of::s3_xml, s3.map(|name| captured(&format!("s3/{name}"))).to_vec()),
        ("swift_json", of::swift_json, swift.map(captured).to_vec()),
        ("keystone_json", of::keystone_json, keystone.map(captured).to_vec()),
        ("headers", of::headers, vec![HEADERS.to_vec()]),
        ("unpack", of::unpack, packed.to_vec()),
    ]
}

#[test]
fn the_sound_inputs_are_read() {
    let prefix = properties::PREFIX;
    let names = |page: Vec<String>| assert!(!page.is_empty());
    names(fuzzing::s3_page(prefix, &fuzzing::answer(200, &[], &captured("s3/list-v2-prefix-200.txt"))).unwrap());
    names(
        fuzzing::swift_page(prefix, &fuzzing::answer(200, &[], &captured("container-list-prefix-json.txt"))).unwrap(),
    );
    let token = fuzzing::answer(201, &[("X-Subject-Token", b"t")], &captured("ks-auth-201.txt"));
    assert_eq!(fuzzing::keystone_account(&Options::default(), &token).unwrap().port(), 18180);
    for (_, property, inputs) in targets() {
        inputs.iter().for_each(|input| property(input));
    }
}

/// What a fuzzer found is kept there, so that it stays mended.
#[test]
fn the_corpus_of_the_fuzz_targets_is_refused_or_read() {
    for (name, property, _) in targets() {
        let inputs =
            std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name)).unwrap();
        let inputs: Vec<_> = inputs.map(|input| input.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{name}");
        inputs.iter().for_each(|input| property(&std::fs::read(input).unwrap()));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (_, property, _) in targets() {
            property(&bytes);
        }
    }

    #[test]
    fn a_damaged_document_is_refused_or_reads_back(changes in changes()) {
        for (_, property, inputs) in targets() {
            inputs.iter().for_each(|input| property(&apply(input, &changes)));
        }
    }
}
