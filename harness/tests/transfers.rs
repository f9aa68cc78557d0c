//! Transfers in flight on the simulated wire: what they ask of a store with a rate limit, that their notes do not depend on
//! how many they are, and that they take as long as the latency benchmark says.

use std::time::Duration;

use clinker::loader;
use clinker::run::{Parts, play};
use clinker_drivers::Options;
use clinker_latency::content::Content;
use clinker_model::latency::Cell;
use clinker_model::verdict::Outcome;
use clinker_model::{Entry, History};

/// Plays a backup of 4 MiB in 64 chunks with this many at once and this in front of the store; every checker is content.
fn backup(driver: &str, at_once: u64, faults: &str) -> History {
    let text = format!(
        r#"
        about = "A backup over a link."
        drivers = ["{driver}"]
        options.backup_max_inflight_chunks = {at_once}
        [[volume]]
        name = "vol-1"
        size = "4MiB"
        {faults}
        [[do]]
        at = "5s"
        create = {{ volume = "vol-1", as = "first" }}
        [expect]
        backup.first = "available"
    "#
    );
    let options: Vec<&str> = Options::table().iter().map(|option| option.name).collect();
    let scenario = loader::load("transfers", &text, &options).unwrap();
    let plan = loader::plan(&scenario, "transfers", driver, 1).unwrap();
    let history = play(&plan, &Parts::default()).unwrap().history;
    for finding in clinker_judge::judge(&history) {
        assert_ne!(finding.outcome, Outcome::Fail, "{driver}, {at_once} at once: {finding:#?}");
    }
    history
}

/// Event types with their percents, as committed, and when.
fn notes(history: &History) -> Vec<(Duration, String)> {
    let commits = history.records.iter().filter_map(|record| match &record.entry {
        Entry::Commit { outbox, .. } => Some((record.t_ns, outbox)),
        _ => None,
    });
    let told = |t_ns: u64, message: &serde_json::Value| {
        let (event, percent) = (&message["event_type"], &message["payload"]["backup_percent"]);
        (Duration::from_nanos(t_ns), format!("{event} {percent}"))
    };
    commits.flat_map(|(t_ns, outbox)| outbox.iter().map(move |row| told(t_ns, &row.message))).collect()
}

fn when(notes: &[(Duration, String)], event: &str) -> Duration {
    notes.iter().find(|(_, note)| note.contains(event)).unwrap_or_else(|| panic!("no {event}: {notes:?}")).0
}

#[test]
fn a_store_with_a_rate_limit_is_neither_flooded_nor_left_idle() {
    const PER_SECOND: u32 = 8;
    let faults = format!(
        r#"
        [[fault]]
        at = "4s"
        status = {{ host = "store", code = 503, retry_after = 1, beyond_per_second = {PER_SECOND}, requests = {{ method = "PUT", path = "-000" }} }}
        [[fault]]
        at = "4s"
        latency = {{ host = "store", by = "10ms" }}
    "#
    );
    for driver in ["swift", "s3"] {
        let history = backup(driver, 32, &faults);
        let notes = notes(&history);
        let took = when(&notes, "create.end") - when(&notes, "create.start");
        let statuses = history.records.iter().filter_map(|record| match &record.entry {
            Entry::Request { method, path, status, .. } if method == "PUT" && path.contains("-000") => Some(*status),
            _ => None,
        });
        let (refused, taken): (Vec<u16>, Vec<u16>) = statuses.partition(|status| *status == 503);
        assert_eq!(taken.len(), 64, "{driver}");
        // 64 take 7 s at the least: eight in each second, the first at once. A client that does not know the limit finds it by
        // a refusal, after which it is asked to leave the store alone for a second.
        let least = Duration::from_secs(7);
        assert!((least..least * 2).contains(&took), "{driver}: {took:?}");
        assert!(!refused.is_empty() && refused.len() < taken.len(), "{driver}: {} refused", refused.len());
    }
}

#[test]
fn the_notes_are_the_same_however_many_chunks_are_on_their_way() {
    let link = "[[fault]]\nat = \"4s\"\nlatency = { host = \"store\", by = \"30ms\", jitter = \"20ms\" }\n";
    for driver in ["swift", "s3"] {
        let told =
            |at_once| notes(&backup(driver, at_once, link)).into_iter().map(|(_, note)| note).collect::<Vec<_>>();
        let in_turn = told(1);
        assert!(in_turn.iter().filter(|note| note.contains("createprogress")).count() > 5, "{in_turn:?}");
        for at_once in [2, 5, 64] {
            assert_eq!(told(at_once), in_turn, "{driver}, {at_once} at once");
        }
    }
}

#[test]
fn the_benchmark_says_how_long_a_backup_takes_on_the_wire() {
    let link = "[[fault]]\nat = \"4s\"\nlatency = { host = \"store\", by = \"50ms\" }\n\
                [[fault]]\nat = \"4s\"\nbandwidth = { host = \"store\", bytes_per_second = 1000000 }\n";
    for at_once in [1, 4, 64] {
        let notes = notes(&backup("swift", at_once, link));
        let wire = when(&notes, "create.end") - when(&notes, "create.start");
        let cell = Cell {
            volume: 4 << 20,
            chunk: 64 << 10,
            block: 4 << 10,
            rtt_us: 100_000,
            bandwidth: 1_000_000,
            service_us: 0,
            at_once,
            ..Cell::default()
        };
        let model = clinker_latency::measure(&cell, &Content::new(cell.chunk)).unwrap().measured;
        let model = Duration::from_micros(model.duration_us);
        println!("{at_once} at once: {wire:?} on the wire, {model:?} by the model");
        assert!(wire.abs_diff(model) < model / 20, "{at_once} at once: {wire:?} on the wire, {model:?} by the model");
    }
}
