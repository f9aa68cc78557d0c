//! `clinker bench engine`: what it prints, what it leaves, and what it says of a volume that it cannot take.

use std::fs;

use serde_json::Value;

use super::{Place, text};

const BLOCK: usize = 4096;
/// Ten blocks and a bit: three chunks of four blocks, the last one short.
const BYTES: usize = 10 * BLOCK + 100;

/// A place with a volume of lines, an earlier state that differs in one block, and what is no volume.
fn place(test: &str) -> Place {
    let place = Place::new(&format!("engine-{test}"), "area/case", super::HEALTHY);
    let mut volume: Vec<u8> = (0..).flat_map(|n: u32| format!("line {n}\n").into_bytes()).take(BYTES).collect();
    fs::write(place.0.join("volume"), &volume).unwrap();
    volume[5 * BLOCK] ^= 1;
    fs::write(place.0.join("before"), &volume).unwrap();
    fs::write(place.0.join("shorter"), &volume[..BLOCK]).unwrap();
    fs::write(place.0.join("empty"), "").unwrap();
    fs::create_dir(place.0.join("room")).unwrap();
    place
}

const USUAL: [&str; 6] = ["bench", "engine", "--chunk", "16KiB", "--block", "4KiB"];

fn results(place: &Place, arguments: &[&str]) -> Value {
    let output = place.clinker(&[&USUAL[..], &["--directory", "room", "--json"], arguments].concat());
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{}", text(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(test: &str, arguments: &[&str], first: &str, files: u64, bytes: std::ops::Range<u64>) {
    let place = place(test);
    let results = results(&place, arguments);
    assert_eq!((&results["format"], &results["volume_bytes"]), (&1.into(), &BYTES.into()));
    let operations = results["operations"].as_array().unwrap();
    let names: Vec<&str> = operations.iter().map(|operation| operation["operation"].as_str().unwrap()).collect();
    assert_eq!(names, [first, "restore"]);
    let [backup, restore] = [0, 1].map(|at| move |field: &str| operations[at][field].as_u64().unwrap());
    assert_eq!(backup("stored_files"), files);
    assert!(bytes.contains(&backup("stored_bytes")), "{}", backup("stored_bytes"));
    assert_eq!((restore("stored_files"), restore("stored_bytes")), (0, 0));
    for operation in operations {
        assert!(operation["cpu_seconds"].as_f64().unwrap() > 0.0, "{operation}");
        let [before, peak] = ["memory_before_bytes", "peak_memory_bytes"].map(|field| operation[field].as_u64());
        assert!(before > Some(0) && peak > Some(0), "{operation}");
    }
    assert_eq!(fs::read_dir(place.0.join("room")).unwrap().count(), 0, "something is left");
}

/// What the two documents of such a backup take at most.
const DOCUMENTS: u64 = 3000;

#[test]
fn a_full_backup_stores_every_chunk_and_two_documents() {
    let all = BYTES as u64;
    check("none", &["--volume", "volume"], "full", 5, all..all + DOCUMENTS);
    for compression in ["zlib", "zstd", "bz2"] {
        let arguments = ["--volume", "volume", "--compression", compression, "--threads", "1"];
        check(compression, &arguments, "full", 5, 1..all);
    }
}

#[test]
fn an_increment_stores_what_has_changed_since() {
    let block = BLOCK as u64;
    let arguments = ["--volume", "volume", "--before", "before"];
    check("increment", &arguments, "incremental", 3, block..block + DOCUMENTS);
    let arguments = ["--volume", "volume", "--before", "volume", "--at-once", "1"];
    check("unchanged", &arguments, "incremental", 2, 1..DOCUMENTS);
}

#[test]
fn the_table_has_a_line_for_each_operation_and_no_bar_where_nobody_watches() {
    let place = place("table");
    let output = place.clinker(&[&USUAL[..], &["--volume", "volume", "--directory", "room"]].concat());
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    let printed = text(&output.stdout);
    let names: Vec<&str> = printed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["operation", "full", "restore"], "{printed}");
}

#[test]
fn the_help_tells_of_every_field_of_the_json() {
    let place = place("help");
    let output = place.clinker(&["bench", "engine", "--help"]);
    let help = text(&output.stdout);
    let results = results(&place, &["--volume", "volume"]);
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for field in fields(&results).into_iter().chain(fields(&results["operations"][0])) {
        assert!(help.contains(&field), "{field} is missing in:\n{help}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let place = place("wrong");
    for (arguments, says) in [
        (&["--volume", "missing"][..], "--volume: open missing: No such file"),
        (&["--volume", "room"], "--volume: room is neither a file nor a block device"),
        (&["--volume", "/dev/null"], "--volume: /dev/null is neither a file nor a block device"),
        (&["--volume", "empty"], "--volume: empty is empty"),
        (&["--volume", "volume", "--before", "empty"], "--before: empty is empty"),
        (
            &["--volume", "shorter", "--before", "volume"],
            "--before: volume has 41060 bytes, --volume shorter has 4096: an increment needs the same size",
        ),
        (&["--volume", "volume", "--before", "shorter"], "--before: shorter has 4096 bytes, --volume volume has 41060"),
        (&["--volume", "volume", "--compression", "lz4"], "[possible values: none, zlib, zstd, bz2]"),
        (&["--volume", "volume", "--chunk", "5000B"], "--chunk: found 5000 bytes, expected a multiple of --block"),
        (&["--volume", "volume", "--chunk", "0B"], "--chunk: found 0 bytes, expected a multiple of --block"),
        (&["--volume", "volume", "--block", "0B"], "--block: found 0, expected at least one byte"),
        (&["--volume", "volume", "--chunk", "much"], "'--chunk <CHUNK>'"),
        (&["--volume", "volume", "--threads", "0"], "'--threads <THREADS>'"),
        (&["--volume", "volume", "--directory", "missing"], "--directory: make a folder in missing"),
    ] {
        let mut all = vec!["bench", "engine"];
        all.extend(
            ["--chunk", "--block", "--directory"]
                .iter()
                .zip(["16KiB", "4KiB", "room"])
                .flat_map(|(option, usual)| if arguments.contains(option) { vec![] } else { vec![*option, usual] }),
        );
        all.extend(arguments);
        let output = place.clinker(&all);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(says), "\"{says}\" is missing in:\n{told}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
    assert_eq!(fs::read_dir(place.0.join("room")).unwrap().count(), 0, "something is left");
}
