//! `clinker bench latency`: what it prints and writes.

use super::{Place, text};

const SMALL: [&str; 12] = [
    "bench",
    "latency",
    "--volume",
    "64MiB",
    "--rtt",
    "1ms,100ms",
    "--bandwidth",
    "1Gbit",
    "--chunk",
    "1MiB,16MiB",
    "--loss",
    "0.1",
];

#[test]
fn two_processes_draw_the_same_page() {
    let place = Place::new("bench-page", "area/case", super::HEALTHY);
    let pages = [(); 2].map(|()| {
        let output = place.clinker(&[&SMALL[..], &["--html", "-"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    });
    assert!(pages[0].starts_with("<!DOCTYPE html>") && pages[0].ends_with("</html>\n"), "{}", pages[0]);
    assert!(pages[0].contains("Bytes on the way"));
    assert!(pages[0] == pages[1], "the pages differ");
}

#[test]
fn a_file_takes_the_page_and_the_table_is_printed() {
    let place = Place::new("bench-file", "area/case", super::HEALTHY);
    let output = place.clinker(&[&SMALL[..], &["--html", "page.html"]].concat());
    assert!(text(&output.stdout).contains("cells; the farthest from its bound"), "{}", text(&output.stderr));
    assert!(std::fs::read_to_string(place.0.join("page.html")).unwrap().contains("<svg"));
    let output = place.clinker(&[&SMALL[..], &["--html", "missing/page.html"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("open missing/page.html"), "{}", text(&output.stderr));
}

#[test]
fn a_baseline_is_kept_to_the_last_digit() {
    let place = Place::new("bench-baseline", "area/case", super::HEALTHY);
    let run = |more: &[&str]| place.clinker(&[&SMALL[..], more].concat());
    assert_eq!(run(&["--save", "base.json"]).status.code(), Some(0));
    let same = run(&["--baseline", "base.json"]);
    assert_eq!((same.status.code(), text(&same.stderr).as_str()), (Some(0), ""));
    let file = place.0.join("base.json");
    let saved = std::fs::read_to_string(&file).unwrap();
    let (before, after) = saved.split_once("\"duration_us\":").unwrap();
    let (number, rest) = after.split_once(',').unwrap();
    let slower = number.parse::<u64>().unwrap() + 1000;
    std::fs::write(&file, format!("{before}\"duration_us\":{slower},{rest}")).unwrap();
    let moved = run(&["--baseline", "base.json"]);
    assert_eq!(moved.status.code(), Some(5));
    let line = format!("full, 1.0 ms rtt, 1 Gbit/s, 1 MiB chunks, 1 at once: duration_us {slower} → {number}");
    assert_eq!(text(&moved.stderr).trim_end(), line);
    std::fs::write(&file, "{}").unwrap();
    let wrong = run(&["--baseline", "base.json"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("--baseline: read base.json"), "{}", text(&wrong.stderr));
}
