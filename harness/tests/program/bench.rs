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
