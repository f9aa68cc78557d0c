//! Whatever a record or a volume's document holds, it is read or refused: nothing panics, and what is read can be stored.

#[path = "../../../drivers/tests/hostile_input/changes.rs"]
mod changes;
mod properties;

use changes::{apply, changes};
use proptest::prelude::*;

const INPUTS: [&str; 3] = [
    include_str!("../data/backup-record.json"),
    include_str!("../data/backup-url.txt"),
    include_str!("../data/volume-metadata.json"),
];

#[test]
fn the_sound_inputs_are_read() {
    INPUTS.iter().for_each(|input| properties::record(input.as_bytes()));
}

/// What a fuzzer found is kept there, so that it stays mended.
#[test]
fn the_corpus_of_the_fuzz_target_is_refused_or_read() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/record");
    let inputs: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|input| input.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    inputs.iter().for_each(|input| properties::record(&std::fs::read(input).unwrap()));
}

/// A moment before the year 0 was stored in a form that no row could be read from again.
#[test]
fn a_moment_that_a_row_cannot_hold_is_refused() {
    for year in ["-009999-01-02T00:00:00Z", "-000001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
        properties::record(INPUTS[0].replace("2027-03-04T05:06:05Z", year).as_bytes());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        properties::record(&bytes);
    }

    #[test]
    fn a_damaged_document_is_refused_or_reads_back(changes in changes()) {
        for input in INPUTS {
            properties::record(&apply(input.as_bytes(), &changes));
        }
    }
}
