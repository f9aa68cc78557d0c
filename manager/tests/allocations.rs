//! What a parser holds in memory is in proportion to what it was given, whatever that claims.
//!
//! The counting allocator is that of this test program, and counts by thread; what zstd's C code takes is not in it.

use allocation_counter::measure;
use clinker_drivers::chunked::compress::Algorithm;
use clinker_drivers::chunked::format;
use clinker_drivers::{Options, fuzzing};
use clinker_manager::record::Imported;
use clinker_manager::{metadata, record};

/// Bytes for each byte of input: a list's elements are larger than their text, and it doubles when it grows.
const PER_BYTE: u64 = 32;
/// What does not depend on the input: texts of errors, tables of a decompressor.
const FLOOR: u64 = 256 << 10;
/// bzip2 takes its tables for the largest block as soon as a stream's head names it.
const BZIP2: u64 = 4 << 20;

#[track_caller]
fn check(name: &str, input: &[u8], per_byte: u64, floor: u64, read: impl FnOnce(&[u8])) {
    let peak = measure(|| read(input)).bytes_max;
    let limit = per_byte * input.len() as u64 + floor;
    assert!(peak <= limit, "{name}: {peak} bytes for an input of {}, at most {limit}", input.len());
}

/// `open` so often, and as often `close`.
fn nested(open: &str, close: &str) -> String {
    const DEEP: usize = 1_000_000;
    open.repeat(DEEP) + &close.repeat(DEEP)
}

/// Something said a million times, with commas between.
fn many(element: &str) -> String {
    format!("{element},").repeat(1_000_000) + element
}

fn metadata_of(objects: &str) -> String {
    format!("{{\"version\": \"1.0.0\", \"volume_meta\": null, \"objects\": [{objects}]}}")
}

fn sha256file_of(block: u64, hashes: &str) -> String {
    format!("{{\"version\": \"1.0.0\", \"chunk_size\": {block}, \"sha256s\": [{hashes}]}}")
}

#[test]
fn documents_of_a_backup_take_memory_in_proportion() {
    let md5 = "0".repeat(32);
    let entry = |name: &str, length: u64| {
        format!("{{\"{name}\":{{\"compression\":\"none\",\"length\":{length},\"md5\":\"{md5}\",\"offset\":0}}}}")
    };
    let rows = [
        ("an object of 2^63 bytes", metadata_of(&entry("o", 1 << 63))),
        ("a million objects", metadata_of(&many(&entry("o", 4096)))),
        ("a million entries without a key", metadata_of(&many("{}"))),
        ("an entry with a million keys", metadata_of(&format!("{{{}}}", many("\"\":0")))),
        ("a name of a million characters", metadata_of(&entry(&"é".repeat(1_000_000), 1))),
        ("lists in lists", format!("{{\"x\": {}}}", nested("[", "]"))),
        ("objects in objects", metadata_of(&nested("{\"a\":", "}"))),
        ("blocks of 2^63 bytes", sha256file_of(1 << 63, &format!("\"{}\"", "0".repeat(64)))),
        ("a million hashes", sha256file_of(4096, &many(&format!("\"{}\"", "0".repeat(64))))),
        ("a million hashes of no digit", sha256file_of(4096, &many("\"\""))),
        ("a number of a million digits", sha256file_of(1, &"9".repeat(1_000_000))),
    ];
    for (name, text) in &rows {
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| drop(format::decode_metadata("m", body)));
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| drop(format::decode_origin("m", body)));
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| drop(format::decode_hash_list("s", body)));
    }
}

#[test]
fn a_sound_list_of_hashes_is_held_once() {
    let text = sha256file_of(4096, &many(&format!("\"{}\"", "0".repeat(64))));
    // 32 bytes for 67 of text, and half as much again while the list grows; the list is converted in place.
    check("a million hashes", text.as_bytes(), 1, FLOOR, |body| drop(format::decode_hash_list("s", body).unwrap()));
}

#[test]
fn answers_of_servers_take_memory_in_proportion() {
    let laughs = |level: u32| format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10));
    let laughs: String = (1..10).map(laughs).collect();
    let xml = [
        format!("<!DOCTYPE x [<!ENTITY l0 \"ha\">{laughs}]><Error><Code>&l9;</Code></Error>"),
        format!("<Error>{}</Error>", nested("<a>", "</a>")),
        nested("<a>", ""),
        format!("<ListBucketResult><Name>b</Name>{}", "<Contents/>".repeat(1_000_000)),
        format!("<ListBucketResult><Name>b</Name>{}", "<Contents><Key>p</Key></Contents>".repeat(1_000_000)),
        format!("<Error {}/>", "a=\"\" ".repeat(1_000_000)),
        format!("<Error><Code>{}</Code></Error>", "&lt;".repeat(1_000_000)),
    ];
    for text in &xml {
        let name = &text[..text.len().min(60)];
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| {
            drop(fuzzing::s3_page("p", &fuzzing::answer(200, &[], body)))
        });
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| {
            drop(fuzzing::s3_refusal(&fuzzing::answer(400, &[], body)))
        });
    }
    let catalog = |services: &str| format!("{{\"token\": {{\"catalog\": [{services}]}}}}");
    let endpoint = "{\"interface\":\"\",\"url\":\"\"}";
    let json = [
        nested("[", "]"),
        format!("[{}]", many("{}")),
        format!("[{}]", many("{\"name\":\"p\"}")),
        format!("[{{\"name\":\"p\",\"x\":{}}}]", nested("[", "]")),
        catalog(&many("{\"type\":\"\",\"endpoints\":[]}")),
        catalog(&format!("{{\"type\":\"object-store\",\"endpoints\":[{}]}}", many(endpoint))),
        catalog(&nested("{\"a\":", "}")),
    ];
    let region = Options { backup_swift_region_name: Some("r".into()), ..Options::default() };
    for text in &json {
        let name = &text[..text.len().min(60)];
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| {
            drop(fuzzing::swift_page("p", &fuzzing::answer(200, &[], body)));
        });
        check(name, text.as_bytes(), PER_BYTE, FLOOR, |body| {
            drop(fuzzing::keystone_account(&region, &fuzzing::answer(201, &[("X-Subject-Token", b"t")], body)));
        });
    }
}

#[test]
fn records_take_memory_in_proportion_and_long_ones_none() {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    // A value takes more than its text, and a record's values are read before it is known which are needed.
    let per_byte = 4 * PER_BYTE;
    let short = |element: &str| format!("{{\"a\": [{}0]}}", format!("{element},").repeat(200_000));
    for text in [short("0"), short("{}"), short("\"\""), nested("[", "]"), format!("{{\"a\":{}}}", nested("[", "]"))] {
        check("a record", encode(&text).as_bytes(), per_byte, FLOOR, |url| {
            let fields = record::decode(std::str::from_utf8(url).unwrap());
            drop(fields.and_then(|fields| Imported::of(&fields, "b")));
        });
        check("a volume's", text.as_bytes(), per_byte, FLOOR, |text| {
            drop(metadata::read(std::str::from_utf8(text).unwrap()));
        });
    }
    let long = "A".repeat(100 << 20);
    check("100 MiB", long.as_bytes(), 0, FLOOR, |url| drop(record::decode(std::str::from_utf8(url).unwrap())));
}

#[test]
fn unpacking_takes_what_the_metadata_claim_at_most_and_not_because_they_claim_it() {
    const BOMB: usize = 32 << 20;
    for (algorithm, tables) in [(Algorithm::Zlib, FLOOR), (Algorithm::Bzip2, BZIP2 + FLOOR), (Algorithm::Zstd, FLOOR)] {
        let bomb = algorithm.pack(&vec![0; BOMB]).expect("zeros shrink");
        // It is cut off one byte after what it may hold; a list that grows is there twice for a moment.
        for claim in [0, 1, 1 << 20, (BOMB - 1) as u64] {
            check("a bomb", &bomb, PER_BYTE, 3 * claim + tables, |_| drop(algorithm.unpack(bomb.clone(), claim)));
        }
        let small = algorithm.pack(&[0; 4096]).expect("zeros shrink");
        for claim in [1 << 40, 1 << 63, u64::MAX] {
            check("a claim", &small, 2 * 1032, tables, |_| drop(algorithm.unpack(small.clone(), claim)));
        }
    }
}
