//! One HTML file with the pictures of a sweep. It loads nothing, and the same sweep gives the same bytes.

use clinker_model::latency::{Cell, FREE, Measured, Trace};

use super::grid::{class, concurrencies};
use super::{durations, flight, name, percentiles, ratio, size, stalls, table, time};
use crate::html::frame::{self, Corner, put, safe};

const STYLE: &str = include_str!("../../templates/latency.css");
const SCRIPT: &str = include_str!("../../templates/latency.js");

/// Renders the page. Traces of cells that [`shown`](super::shown) does not name are not looked at.
pub fn page(cells: &[Measured], traces: &[Trace]) -> String {
    let mut out = String::new();
    let heading = "Latency of chunked backups";
    frame::head(&mut out, heading, STYLE);
    frame::title(&mut out, heading, &facts(cells), Corner::Theme);
    put(&mut out, format_args!("<p class=\"sum\">{}</p>\n<main>\n", sum(cells)));
    if !cells.is_empty() {
        sections(&mut out, cells, traces);
    }
    out.push_str("</main>\n</div>\n");
    frame::end(&mut out, &[SCRIPT]);
    out
}

/// A part of the page: what it is called by links, its title, whether it is open at first.
type Part = (&'static str, &'static str, bool);

const PARTS: [Part; 5] = [
    ("durations", "Duration against round trip", true),
    ("flight", "Bytes on the way", true),
    ("requests", "Requests of data objects", true),
    ("waits", "What was waited for", true),
    ("numbers", "All numbers", false),
];

fn sections(out: &mut String, cells: &[Measured], traces: &[Trace]) {
    let [durations, flight, requests, waits, numbers] = PARTS;
    let lines = key(cells);
    let bound = "<span><i class=\"k-bound\"></i>T*, the least time there is: nothing can be in the shade</span>";
    let ranges = "<span>dot: median; thick: to p90; thin: to p99; dash: the longest</span>";
    out.push_str("<p class=\"jump\">");
    for (id, title, _) in PARTS {
        put(out, format_args!("<a href=\"#{id}\">{title}</a> "));
    }
    out.push_str("</p>\n");
    section(out, durations, &format!("{lines}{bound}"), |out| durations::section(out, cells));
    section(out, flight, FLIGHT_KEY, |out| flight::section(out, cells, traces));
    section(out, requests, &format!("{lines}{ranges}"), |out| percentiles::section(out, cells));
    section(out, waits, WAITS_KEY, |out| stalls::section(out, cells));
    section(out, numbers, "", |out| all_numbers(out, cells));
}

const FLIGHT_KEY: &str = "<span><i class=\"k-least\"></i>the least of each moment</span>\
     <span><i class=\"k-most\"></i>the most</span><span><i class=\"k-note\"></i>progress notes</span>\
     <span><i class=\"k-bound\"></i>T*</span>";

const WAITS_KEY: &str = "<span><i class=\"w-link\"></i>link: it carried something</span>\
     <span><i class=\"w-slots\"></i>slots: as many requests as may be</span>\
     <span><i class=\"w-cpu\"></i>cpu: hashing</span><span><i class=\"w-read\"></i>read: the volume</span><span><i class=\"w-answers\"></i>answers and round trips</span>";

fn section(out: &mut String, (id, title, open): Part, key: &str, body: impl FnOnce(&mut String)) {
    let open = if open { " open" } else { "" };
    put(out, format_args!("<details class=\"part-of\" id=\"{id}\"{open}><summary><h2>{title}</h2></summary>\n"));
    if !key.is_empty() {
        put(out, format_args!("<p class=\"tl-key\">{key}</p>\n"));
    }
    body(out);
    out.push_str("</details>\n");
}

/// The colours of the concurrencies.
fn key(cells: &[Measured]) -> String {
    let all = concurrencies(cells.iter());
    let text = |at_once: u64| match at_once {
        1 => "original: 1 at once, strictly in turn".to_owned(),
        FREE => "free: as many as the engine wants".to_owned(),
        number => format!("{number} at once"),
    };
    let one =
        |at_once: &u64| format!("<span><i class=\"k-line {}\"></i>{}</span>", class(*at_once, &all), text(*at_once));
    all.iter().map(one).collect()
}

/// What all cells have in common, as far as it matters.
fn facts(cells: &[Measured]) -> String {
    let said: [fn(&Cell) -> String; 6] = [
        |cell| format!("volumes of {}", size(cell.volume)),
        |cell| format!("a store that takes {}", time(cell.service_us)),
        |cell| format!("windows of {}", size(cell.window)),
        |cell| match cell.loss_ppm {
            0 => "no loss".to_owned(),
            ppm => format!("{}.{:04} % loss", ppm / 10_000, ppm % 10_000),
        },
        |cell| match cell.hash_rate {
            0 => "computing costs nothing".to_owned(),
            rate => format!("{} cores that hash {}/s", cell.cores, size(rate)),
        },
        |cell| match cell.read_rate {
            0 => "reading costs nothing".to_owned(),
            rate => format!("volumes that are read at {}/s", size(rate)),
        },
    ];
    let common = |say: &fn(&Cell) -> String| {
        let text = say(&cells.first()?.cell);
        cells.iter().all(|measured| say(&measured.cell) == text).then_some(text)
    };
    let number = format!("{} cell{}", cells.len(), if cells.len() == 1 { "" } else { "s" });
    [number].into_iter().chain(said.iter().filter_map(common)).collect::<Vec<_>>().join(" · ")
}

/// The sweep in two sentences.
fn sum(cells: &[Measured]) -> String {
    let Some(most) = cells.iter().map(|measured| measured.cell.at_once).max() else {
        return "<span class=\"bad\">There are no cells.</span>".to_owned();
    };
    let of_most = cells.iter().filter(|measured| measured.cell.at_once == most);
    let Some(farthest) = of_most.max_by_key(|measured| measured.ratio_milli) else { return String::new() };
    let at_once = if most == FREE { "free".to_owned() } else { format!("at {most} at once") };
    let what = safe(name(&farthest.cell).rsplit_once(", ").map_or("", |(what, _)| what));
    let first = format!(
        "The engine, {at_once}, takes at most {} × the least time there is ({what}).",
        ratio(farthest.ratio_milli)
    );
    let costs = |measured: &&Measured| {
        let like = Cell { at_once: most, ..measured.cell };
        let like = cells.iter().find(|other| other.cell == like)?;
        Some(measured.duration_us.saturating_mul(1000) / like.duration_us.max(1))
    };
    let in_turn = cells.iter().filter(|measured| measured.cell.at_once == 1 && most > 1);
    match in_turn.filter_map(|measured| costs(&measured)).max() {
        Some(milli) => {
            format!("{first} The original's way, strictly in turn, takes up to {} × as long as that.", ratio(milli))
        }
        None => first,
    }
}

/// Every cell with every number.
fn all_numbers(out: &mut String, cells: &[Measured]) {
    out.push_str("<div class=\"wide\"><table class=\"numbers\"><thead><tr>");
    for name in table::COLUMNS.into_iter().chain(MORE) {
        put(out, format_args!("<th>{name}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for measured in cells {
        out.push_str("<tr>");
        let more = [measured.request_us.p90, measured.request_us.p999, measured.commit_us.p50, measured.commit_us.p99];
        for text in table::row(measured).into_iter().chain(more.map(time)) {
            put(out, format_args!("<td>{}</td>", safe(&text)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

/// What the table has no room for.
const MORE: [&str; 4] = ["p90", "p99.9", "uncounted p50", "uncounted p99"];

#[cfg(test)]
mod tests {
    use clinker_model::latency::{Operation, Stalls};

    use super::super::testing::measured;
    use super::*;

    /// Two round trips, strictly in turn and free, of each operation.
    fn cells() -> Vec<Measured> {
        let mut cells = Vec::new();
        for operation in Operation::ALL {
            for (rtt_us, at_once, duration_us) in [
                (20_000, 1, 117_000_000),
                (20_000, FREE, 86_400_000),
                (200_000, 1, 154_000_000),
                (200_000, FREE, 86_800_000),
            ] {
                let cell = Cell { operation, rtt_us, at_once, ..Cell::default() };
                let ratio_milli = duration_us / 86_000;
                cells.push(Measured { cell, duration_us, ratio_milli, ..measured() });
            }
        }
        cells
    }

    fn traces(cells: &[Measured]) -> Vec<Trace> {
        let trace = |cell| Trace {
            measured: cells.iter().find(|measured| measured.cell == cell).cloned().unwrap_or_else(measured),
            points: (0..5_000).map(|at| (at * 20_000, at % 7 * 1_000_000)).collect(),
            notes: vec![(4_300_000, 4_880), (86_400_000, 100_000)],
        };
        super::super::shown(cells).into_iter().map(trace).collect()
    }

    #[test]
    fn the_page_says_first_how_far_the_engine_and_the_original_are() {
        let page = page(&cells(), &traces(&cells()));
        for piece in [
            "The engine, free, takes at most 1.00 × the least time there is (restore, 200.0 ms rtt, 1 Gbit/s, 50 MiB chunks).",
            "strictly in turn, takes up to 1.77 × as long as that.",
            "12 cells · volumes of 10 GiB · a store that takes 10.0 ms · windows of 4 MiB · no loss · computing costs nothing",
            "<h3>Gains most by requests at once: <span>",
            ">original</text>",
            ">T* 86.0 s</text>",
            "title=\"86.4 s: link 99 %\"",
        ] {
            assert!(page.contains(piece), "{piece} is not in the page");
        }
        // Of each operation one panel of durations and one of requests.
        assert_eq!(
            page.matches("<figure class=\"panel\"><figcaption>1 Gbit/s · 50 MiB chunks</figcaption><svg").count(),
            6
        );
        assert_eq!(page.matches("<tr><td>").count(), 24, "a row of shares and one of numbers for each cell");
        assert!(page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn every_picture_is_well_formed() {
        let page = page(&cells(), &traces(&cells()));
        let mut pictures = 0;
        for rest in page.split("<figure").skip(1) {
            let figure = format!("<figure{}", rest.split("</figure>").next().expect("one part at least"));
            let mut reader = quick_xml::Reader::from_str(&figure);
            let mut depth = 0_i32;
            loop {
                match reader.read_event().unwrap_or_else(|error| panic!("{error}: {figure}")) {
                    quick_xml::events::Event::Start(_) => depth += 1,
                    quick_xml::events::Event::End(_) => depth -= 1,
                    quick_xml::events::Event::Eof => break,
                    _ => {}
                }
            }
            assert_eq!(depth, 1, "only the figure itself was cut off: {figure}");
            pictures += 1;
        }
        assert!(pictures > 6 && !page.contains("NaN"));
    }

    #[test]
    fn odd_sweeps_have_pages_too() {
        let zero = Measured {
            cell: Cell { rtt_us: 0, ..Cell::default() },
            duration_us: 0,
            bound_us: 0,
            ratio_milli: 0,
            bytes: 0,
            request_us: Default::default(),
            stalls: Stalls::default(),
            ..measured()
        };
        let huge = Measured { duration_us: u64::MAX, bound_us: 1, ..measured() };
        assert!(page(&[], &[]).contains("There are no cells."));
        for cells in [vec![measured()], vec![zero.clone()], vec![huge.clone()], vec![zero, huge]] {
            let traces = traces(&cells);
            assert!(page(&cells, &traces).contains("class=\"bound\""));
            assert!(page(&cells, &[]).ends_with("</html>\n"));
        }
    }
}
