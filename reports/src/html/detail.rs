//! What an item shows when it is opened: the rule and its sources, the plays with their breaches and faults, and a place
//! for each timeline.

use clinker_model::conformance::CaseResult;
use clinker_model::timeline::{MarkKind, SpanKind, Timeline};
use clinker_model::verdict::{Finding, Outcome, RunResult, Verdict, Violation};

use super::data::Data;
use super::{chip, put, safe};
use crate::failure;
use crate::item::Item;
use crate::seconds;

pub(super) fn body(out: &mut String, item: &Item<'_>, data: &mut Data) {
    out.push_str("<div class=\"body\"><dl class=\"facts-grid\">");
    match item.case {
        Some(case) => case_facts(out, case),
        None => run_facts(out, item),
    }
    fact(out, "Repeat", &command(item.replay));
    out.push_str("</dl>\n");
    match item.plays {
        [] => {}
        [only] => {
            out.push_str("<div class=\"plays\">");
            if item.case.is_some() {
                put(out, format_args!("<h3>{} · {}</h3>", safe(&name(only)), safe(&numbers(only))));
            }
            play(out, only, item.case, data);
            out.push_str("</div>");
        }
        plays => several(out, plays, item.case, data),
    }
    out.push_str("</div>");
}

/// A name and what it is, as HTML; nothing if there is nothing.
fn fact(out: &mut String, name: &str, html: &str) {
    if !html.is_empty() {
        put(out, format_args!("<dt>{name}</dt><dd>{html}</dd>"));
    }
}

fn case_facts(out: &mut String, case: &CaseResult) {
    fact(out, "Rule", &lines(&case.rule));
    let reason = case.reason.as_deref().map(|reason| format!("<span class=\"reason\">{}</span>", lines(reason)));
    fact(out, if case.verdict == Verdict::Skip { "Skipped" } else { "Reason" }, &reason.unwrap_or_default());
    fact(out, "Hint", &lines(case.hint.as_deref().unwrap_or_default()));
    fact(out, "Source", &safe(&case.spec));
    let upstream: String = case.upstream.iter().map(|test| format!("<li><code>{}</code></li>", safe(test))).collect();
    let none = || "<span class=\"soft\">no test of the original service covers it</span>".to_owned();
    fact(out, "Upstream", &if upstream.is_empty() { none() } else { format!("<ul>{upstream}</ul>") });
    let needs: String = case.needs.iter().map(|need| format!("<span>{}</span>", safe(need))).collect();
    fact(out, "About", &if needs.is_empty() { String::new() } else { format!("<span class=\"needs\">{needs}</span>") });
    let fingerprint = case.fingerprint.as_deref().map(|words| format!("<code>{}</code>", safe(words)));
    fact(out, "Fingerprint", &fingerprint.unwrap_or_default());
}

fn run_facts(out: &mut String, item: &Item<'_>) {
    fact(
        out,
        "Reason",
        &item.reason.map(|reason| format!("<span class=\"reason\">{}</span>", lines(reason))).unwrap_or_default(),
    );
    fact(out, "Run", &item.plays.first().map(|play| safe(&numbers(play))).unwrap_or_default());
}

/// Text with its line breaks, and what stands between backticks as code.
fn lines(text: &str) -> String {
    let safe = safe(text).replace('\n', "<br>");
    let parts: Vec<&str> = safe.split('`').collect();
    // An even number of backticks makes an odd number of parts: every second one is code.
    if parts.len() < 3 || parts.len().is_multiple_of(2) {
        return safe;
    }
    let part = |(index, part): (usize, &&str)| match index % 2 {
        0 => (*part).to_owned(),
        _ => format!("<code>{part}</code>"),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A command with a button that copies it.
fn command(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<div class=\"cmd\"><code tabindex=\"0\">{}</code><button type=\"button\">Copy</button></div>", safe(text))
}

fn name(play: &RunResult) -> String {
    format!("{}@{}:{}", play.scenario, play.driver, play.seed)
}

fn numbers(play: &RunResult) -> String {
    let passed = play.findings.iter().filter(|finding| finding.outcome == Outcome::Pass).count();
    let checks = play.findings.iter().filter(|finding| finding.outcome != Outcome::NotApplicable).count();
    let hash = if play.hash.is_empty() { String::new() } else { format!(" · hash {}", play.hash) };
    format!("{:.1} virtual s · {} events · {passed} of {checks} checks passed{hash}", play.virtual_seconds, play.events)
}

/// Plays of a case to be opened one by one; the first that is not as it should be is open.
fn several(out: &mut String, plays: &[RunResult], case: Option<&CaseResult>, data: &mut Data) {
    let first = plays.iter().position(|play| play.verdict != Verdict::Pass).unwrap_or(0);
    put(out, format_args!("<div class=\"plays\"><h3>{} plays</h3>", plays.len()));
    for (index, one) in plays.iter().enumerate() {
        let open = if index == first { " open" } else { "" };
        put(
            out,
            format_args!(
                "<details class=\"play\"{open}><summary>{}<code>{}</code><span class=\"soft\">{}</span></summary><div class=\"inner\">",
                chip(one.verdict),
                safe(&name(one)),
                safe(&numbers(one))
            ),
        );
        play(out, one, case, data);
        out.push_str("</div></details>");
    }
    out.push_str("</div>");
}

/// A play; what its case has said already is not said again.
fn play(out: &mut String, play: &RunResult, case: Option<&CaseResult>, data: &mut Data) {
    let (reason, rule) = case.map_or((None, ""), |case| (case.reason.as_deref(), case.rule.as_str()));
    if let Some(own) = play.reason.as_deref().filter(|own| case.is_some() && Some(*own) != reason) {
        put(out, format_args!("<p style=\"margin-top:10px\">{}</p>", lines(own)));
    }
    for finding in play.findings.iter().filter(|finding| finding.outcome == Outcome::Fail) {
        finding.violations.iter().for_each(|violation| breach(out, finding, violation, rule));
    }
    faults(out, play);
    if let Some(timeline) = &play.timeline {
        drawing(out, play, timeline, data);
    }
    if case.is_some_and(|case| case.replay != play.replay) && !play.replay.is_empty() {
        put(out, format_args!("<div style=\"margin-top:12px\">{}</div>", command(&play.replay)));
    }
}

fn breach(out: &mut String, finding: &Finding, violation: &Violation, known: &str) {
    out.push_str("<div class=\"breach\">");
    if violation.rule != known {
        put(out, format_args!("<h4>{}</h4>", lines(&violation.rule)));
    }
    out.push_str("<dl class=\"facts-grid\">");
    fact(out, "Expected", &lines(&violation.expected));
    fact(out, "Observed", &lines(&violation.observed));
    fact(out, "Check", &format!("<code>{}</code> at {}", safe(&finding.checker), seconds(violation.t_ns)));
    out.push_str("</dl></div>");
}

fn faults(out: &mut String, play: &RunResult) {
    if play.faults.is_empty() {
        return;
    }
    out.push_str("<table class=\"faults\"><thead><tr><th>Fault</th><th>From</th><th>Until</th><th>Bites</th></tr></thead><tbody>");
    for fault in &play.faults {
        let hosts = play.timeline.as_ref().map(|timeline| failure::hosts(timeline, fault)).unwrap_or_default();
        let until = fault.until_ns.map_or("end".to_owned(), seconds);
        let bites = if fault.bites == 0 {
            "<span class=\"never\">never bit</span>".to_owned()
        } else {
            fault.bites.to_string()
        };
        put(
            out,
            format_args!(
                "<tr><td>{}<span class=\"soft\">{}</span></td><td>{}</td><td>{until}</td><td>{bites}</td></tr>",
                safe(&fault.name),
                safe(&hosts),
                seconds(fault.at_ns)
            ),
        );
    }
    out.push_str("</tbody></table>");
}

/// The place of a timeline, with its buttons and the key to what occurs in it.
fn drawing(out: &mut String, play: &RunResult, timeline: &Timeline, data: &mut Data) {
    if timeline.lanes.is_empty() {
        return;
    }
    let label = format!("Timeline of {}: {} hosts, {}", name(play), timeline.lanes.len(), seconds(timeline.end_ns));
    put(
        out,
        format_args!(
            "<div class=\"tl\" data-timeline=\"{}\"><div class=\"tl-bar\"><span class=\"soft tl-span\">Timeline</span>\
         <button type=\"button\" data-zoom=\"2\" aria-label=\"Zoom out\">−</button><button type=\"button\" data-zoom=\"0.5\" aria-label=\"Zoom in\">+</button>\
         <button type=\"button\" data-zoom=\"0\">All</button></div><div class=\"tl-box\"><svg role=\"img\" tabindex=\"0\" aria-label=\"{}\"></svg></div>\
         <span class=\"tl-read\" aria-hidden=\"true\">Point at something to read what it is; drag to move, click and use the wheel to zoom.</span>{}</div>",
            data.add(timeline),
            safe(&label),
            key(timeline)
        ),
    );
}

fn key(timeline: &Timeline) -> String {
    let span = |kind: SpanKind| timeline.lanes.iter().any(|lane| lane.spans.iter().any(|span| span.kind == kind));
    let state = |label: &str| {
        let is = |span: &clinker_model::timeline::LaneSpan| span.kind == SpanKind::State && span.label == label;
        timeline.lanes.iter().any(|lane| lane.spans.iter().any(is))
    };
    let mark = |kind: MarkKind| timeline.lanes.iter().any(|lane| lane.marks.iter().any(|mark| mark.kind == kind));
    let entries = [
        (span(SpanKind::Fault), "background:var(--t-fault);opacity:.45", "fault active"),
        (mark(MarkKind::Bite), "background:var(--t-fault);clip-path:polygon(0 0,100% 0,50% 100%)", "fault bit"),
        (state("initializing"), "background:var(--t-init)", "initializing"),
        (state("up"), "background:var(--t-up)", "up"),
        (state("down"), "background:var(--t-down)", "down"),
        (mark(MarkKind::Heartbeat), "background:var(--t-beat);width:3px", "heartbeat"),
        (
            span(SpanKind::Gap),
            "background:repeating-linear-gradient(45deg,var(--t-down) 0 1.5px,transparent 1.5px 4px)",
            "no heartbeat",
        ),
        (span(SpanKind::Operation), "background:var(--t-ok)", "operation"),
        (mark(MarkKind::Request), "background:var(--t-mark);width:3px", "request"),
        (
            mark(MarkKind::Notification),
            "background:var(--t-mark);border-radius:50%;width:9px;height:9px",
            "notification",
        ),
        (true, "background:var(--t-down)", "failed"),
        (mark(MarkKind::Violation), "background:var(--t-down);width:2px;height:14px", "rule broken"),
    ];
    let shown = entries.iter().filter(|(is_there, _, _)| *is_there);
    let spans: String = shown.map(|(_, style, name)| format!("<span><i style=\"{style}\"></i>{name}</span>")).collect();
    format!("<div class=\"tl-key\" aria-hidden=\"true\">{spans}</div>")
}
