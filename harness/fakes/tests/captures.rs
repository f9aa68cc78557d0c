//! The fakes answer as real servers did: every recorded exchange is replayed and compared.
//!
//! Compared are the status line, the set of header names (without case), their values and the body. Dates and stamps
//! are equal because the clock is set to the recording's; ids are compared by form. A recording is in [`table::ROWS`]
//! with what has to happen before it, or in [`table::CANNOT`] with the reason; in neither, the test fails.

#[path = "captures/recording.rs"]
mod recording;
#[path = "captures/replay.rs"]
mod replay;
mod support;
#[path = "captures/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use table::{CANNOT, ROWS};

fn recordings() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut names = BTreeSet::new();
    for folder in ["swift", "keystone"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            names.insert(format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()));
        }
    }
    names
}

#[tokio::test(start_paused = true)]
async fn the_fakes_answer_as_the_real_servers_did() {
    let mut differences = Vec::new();
    for row in ROWS {
        for difference in replay::differences(row).await {
            differences.push(format!("{}: {difference}", row.file));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_recording_is_replayed_or_excused() {
    let replayed: BTreeSet<String> = ROWS.iter().map(|row| row.file.to_owned()).collect();
    assert_eq!(replayed.len(), ROWS.len(), "a file is in the table twice");
    let excused: BTreeSet<String> = CANNOT.iter().filter(|row| row.1 == "all").map(|row| row.0.to_owned()).collect();
    assert!(replayed.is_disjoint(&excused), "replayed and excused");
    let named: BTreeSet<String> = replayed.union(&excused).cloned().collect();
    assert_eq!(named, recordings());
    assert!(CANNOT.iter().all(|row| row.1 == "all" || replayed.contains(row.0)), "an excuse for no row");
}

/// An exception that is no longer needed must go: it would hide the next difference.
#[tokio::test(start_paused = true)]
async fn every_excused_header_is_really_missing() {
    for (file, header, _) in CANNOT.iter().filter(|row| row.1 != "all") {
        let row = ROWS.iter().find(|row| row.file == *file).unwrap();
        let reply = replay::ask(row).await;
        assert!(reply.header(header).is_none(), "{file}: {header} is there");
    }
}
