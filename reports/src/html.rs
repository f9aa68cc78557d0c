//! One HTML file with everything in it: the counts, every item, and the timelines of its runs. It loads nothing.
//!
//! The text is made here; a browser draws the timelines (`templates/timeline.js`) from the data that [`data`] embeds,
//! each when its item is opened. `templates/` holds styles and scripts; [`frame`] is what every page begins and ends with.

mod data;
mod detail;
pub(crate) mod frame;

use clinker_model::verdict::Verdict;
use indexmap::IndexMap;

use crate::item::Item;
use crate::json::File;
use crate::summary::{Counts, RoleSummary};
use crate::verdict_word;
use data::Data;
use frame::{Corner, put, safe};

const TIMELINE: &str = include_str!("../templates/timeline.js");
const PAGE: &str = include_str!("../templates/page.js");

/// Renders the page.
pub fn page(file: &File) -> String {
    let mut out = String::new();
    let mut data = Data::default();
    head(&mut out, file);
    out.push_str("<main>\n");
    let items = file.items();
    roles(&mut out, &file.summary.roles);
    tools(&mut out, &file.summary.all(), items.len() == 1);
    families(&mut out, &items, &mut data);
    out.push_str("<p class=\"none\" id=\"none\" hidden>Nothing fits. <kbd>Esc</kbd> shows everything again.</p>\n</main>\n</div>\n");
    out.push_str(HELP);
    put(&mut out, format_args!("<script type=\"application/json\" id=\"timelines\">{}</script>\n", data.json()));
    frame::end(&mut out, &[TIMELINE, PAGE]);
    out
}

/// The class and filter of a verdict.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Golden => "fail",
        other => verdict_word(other),
    }
}

fn chip(verdict: Verdict) -> String {
    format!("<span class=\"chip {}\">{}</span>", class(verdict), verdict_word(verdict))
}

/// Everything up to the counts.
fn head(out: &mut String, file: &File) {
    let title = name(file);
    frame::head(out, &title, "");
    out.push_str(HATCH);
    out.push_str("<a class=\"skip-link\" href=\"#list\">To the list</a>\n");
    frame::title(out, &title, &facts(file), Corner::WithKeys);
    put(out, format_args!("<p class=\"sum\">{}</p>\n", verdict(file)));
}

/// What the page is about: the subject, the only run, or scenarios.
fn name(file: &File) -> String {
    match (&file.subject, &file.runs[..]) {
        (Some(subject), _) => subject.name.clone(),
        (None, [run]) => run.scenario.clone(),
        (None, _) => "Scenarios".to_owned(),
    }
}

/// `profile 2026.1 · built-in · store, manager · can incremental, progress`.
fn facts(file: &File) -> String {
    let runs = format!("{} run{}", file.summary.runs, if file.summary.runs == 1 { "" } else { "s" });
    let Some(subject) = &file.subject else {
        return match &file.runs[..] {
            [run] => format!("{} · seed {} · {:.1} virtual s", run.driver, run.seed, run.virtual_seconds),
            _ => runs,
        };
    };
    let capabilities = match subject.capabilities.len() {
        0 => String::new(),
        _ => format!(" · {}", subject.capabilities.join(", ")),
    };
    format!("profile {} · {} · {runs}{capabilities}", subject.profile, subject.kind)
}

fn verdict(file: &File) -> String {
    let counts = file.summary.all();
    let noun = if file.cases.is_empty() { "runs" } else { "cases" };
    let bad = counts.failed + counts.errors;
    match (counts.total, bad) {
        (0, _) => format!("<span class=\"bad\">There are no {noun}.</span>"),
        (1, 0) if counts.is_full() => "<span class=\"good\">Passed.</span>".to_owned(),
        (1, 1) => "<span class=\"bad\">Failed.</span>".to_owned(),
        (total, 0) if counts.is_full() => format!("<span class=\"good\">All {total} {noun} passed.</span>"),
        (total, 0) => format!("<span class=\"good\">None of {total} {noun} failed.</span> {}.", capital(&counts)),
        (total, bad) => format!("<span class=\"bad\">{bad} of {total} {noun} failed.</span> {}.", capital(&counts)),
    }
}

/// `48 passed, 2 failed, 15 skipped`.
fn capital(counts: &Counts) -> String {
    let rest = counts.rest();
    if rest.is_empty() { format!("{} passed", counts.passed) } else { format!("{} passed, {rest}", counts.passed) }
}

fn roles(out: &mut String, roles: &[RoleSummary]) {
    if roles.is_empty() {
        return;
    }
    out.push_str("<section class=\"roles\" aria-label=\"Roles\">\n");
    for role in roles {
        put(
            out,
            format_args!(
                "<div class=\"role\"><h2>{}</h2>{}{}</div>\n",
                safe(&role.role),
                part("Core", &role.core),
                part("Extended", &role.extended)
            ),
        );
    }
    out.push_str("</section>\n");
}

/// A number, what is missing, and a bar of all verdicts.
fn part(name: &str, counts: &Counts) -> String {
    if counts.total == 0 {
        return format!("<div class=\"part\"><span>{name}</span><span class=\"of\">no cases</span></div>");
    }
    let mut bar = String::new();
    let segments = [
        ("pass", counts.passed),
        ("fail", counts.failed),
        ("error", counts.errors),
        ("xfail", counts.xfailed),
        ("skip", counts.skipped),
    ];
    for (class, count) in segments.into_iter().filter(|(_, count)| *count > 0) {
        put(&mut bar, format_args!("<i class=\"{class}\" style=\"flex:{count}\"></i>"));
    }
    let rest = if counts.is_full() { "complete".to_owned() } else { counts.rest() };
    format!(
        "<div class=\"part\"><span>{name}</span><span><b>{}</b><span class=\"of\"> / {}</span></span>\
         <div class=\"bar\" role=\"img\" aria-label=\"{}\">{bar}</div><span class=\"rest\">{rest}</span></div>",
        counts.passed,
        counts.total,
        counts.text()
    )
}

/// Search and filters. The digits are their keys.
fn tools(out: &mut String, counts: &Counts, only: bool) {
    // One item needs no tools, and the script needs them.
    let hidden = if only { " hidden" } else { "" };
    put(out, format_args!("<div class=\"tools\" id=\"list\"{hidden}>"));
    out.push_str(
        "<div class=\"find\"><input id=\"find\" type=\"search\" placeholder=\"Search cases, rules, reasons\" \
         aria-label=\"Search\" autocomplete=\"off\" spellcheck=\"false\"><kbd aria-hidden=\"true\">/</kbd></div>\
         <div class=\"filters\" role=\"group\" aria-label=\"Filter by verdict\">",
    );
    put(
        out,
        format_args!(
            "<button class=\"btn\" data-filter=\"all\" aria-pressed=\"true\">All <span class=\"n\">{}</span></button>",
            counts.total
        ),
    );
    let filters = [
        ("fail", "Failed", counts.failed),
        ("error", "Broken", counts.errors),
        ("xfail", "Expected", counts.xfailed),
        ("skip", "Skipped", counts.skipped),
        ("pass", "Passed", counts.passed),
    ];
    for (index, (class, name, count)) in filters.into_iter().enumerate() {
        put(
            out,
            format_args!(
                "<button class=\"btn\" data-filter=\"{class}\" aria-pressed=\"false\" title=\"Key {}\"><i class=\"dot {class}\"></i>{name} <span class=\"n\">{count}</span></button>",
                index + 1
            ),
        );
    }
    out.push_str("</div></div>\n<p class=\"soft\" id=\"left\" role=\"status\" style=\"height:1.5em;font-size:13px;margin:6px 2px -22px\"></p>\n");
}

fn families(out: &mut String, items: &[Item<'_>], data: &mut Data) {
    let mut families: IndexMap<&str, Vec<&Item<'_>>> = IndexMap::new();
    for item in items {
        families.entry(item.family).or_default().push(item);
    }
    let only = items.len() == 1;
    for (family, items) in families {
        let counts = Counts::of(items.iter().map(|item| item.verdict));
        let kind = if items[0].case.is_some() { "items" } else { "items runs" };
        let title =
            title(family).map_or_else(|| safe(family), |title| format!("{title} <code class=\"soft\">{family}</code>"));
        put(
            out,
            format_args!(
                "<section class=\"family\"><h2>{title}<span class=\"soft\">{}</span></h2>\n<div class=\"{kind}\">\n",
                capital(&counts)
            ),
        );
        for item in items {
            row(out, item, only, data);
        }
        out.push_str("</div></section>\n");
    }
}

/// What the families of profiles are about.
fn title(family: &str) -> Option<&'static str> {
    let titles = [
        ("CAP", "Capabilities and set-up"),
        ("INIT", "Start, down-marking, trying again"),
        ("RES", "Restart and recovery"),
        ("CRT", "Create"),
        ("CHK", "Chunks and stored format"),
        ("INC", "Incremental backups"),
        ("RST", "Restore"),
        ("INT", "Integrity"),
        ("DEL", "Delete"),
        ("IMP", "Export, import, reset"),
        ("NOTE", "Notifications"),
        ("FLT", "Faults"),
        ("CON", "Concurrency and limits"),
        ("SWF", "Swift"),
        ("S3", "S3"),
        ("CEPH", "Ceph"),
        ("PSX", "POSIX"),
        ("DET", "Determinism"),
        ("PERF", "Cost"),
    ];
    titles.iter().find(|(name, _)| *name == family).map(|(_, title)| *title)
}

fn row(out: &mut String, item: &Item<'_>, open: bool, data: &mut Data) {
    let tag = match (item.core, item.level_word()) {
        (true, _) => "<b>Core</b>".to_owned(),
        (false, "") => format!("{:.1} s", item.plays.iter().map(|play| play.virtual_seconds).sum::<f64>()),
        (false, _) => "Extended".to_owned(),
    };
    let slug = if item.slug.is_empty() {
        String::new()
    } else {
        format!("<span>{}</span>", safe(&item.slug.replace('_', " ")))
    };
    put(
        out,
        format_args!(
            "<details class=\"item\" id=\"{}\" data-verdict=\"{}\"{}><summary>{}<span class=\"name\"><span class=\"id\">{}</span>{slug}</span>\
         <span class=\"why\">{}</span><span class=\"tag\">{tag}</span></summary>\n",
            safe(&item.id),
            class(item.verdict),
            if open { " open" } else { "" },
            chip(item.verdict),
            safe(&item.id),
            safe(item.reason.unwrap_or_default()),
        ),
    );
    detail::body(out, item, data);
    out.push_str("</details>\n");
}

/// The one pattern that the timelines share.
const HATCH: &str = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs><pattern id=\"hatch\" width=\"5\" height=\"5\" \
     patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V5\"/></pattern></defs></svg>\n";

const HELP: &str = "<dialog id=\"help\" aria-labelledby=\"help-title\"><h2 id=\"help-title\">Keys</h2><dl>\
     <dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous item</dd><dt><kbd>Enter</kbd></dt><dd>open or close it</dd>\
     <dt><kbd>/</kbd></dt><dd>search</dd><dt><kbd>1</kbd> … <kbd>5</kbd></dt><dd>only failed, broken, expected, skipped, passed; again: all</dd>\
     <dt><kbd>Esc</kbd></dt><dd>show everything</dd><dt><kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd></dt><dd>zoom the timeline in, out, to all of it</dd>\
     <dt><kbd>←</kbd> <kbd>→</kbd></dt><dd>move along a timeline that has the focus; dragging does the same, and the wheel zooms</dd>\
     <dt><kbd>t</kbd></dt><dd>light or dark</dd></dl><form method=\"dialog\"><button class=\"btn\">Close</button></form></dialog>\n";

#[cfg(test)]
mod tests;
