//! What can be said of the page without a browser; `.ci/html` loads it in one.

use clinker_model::conformance::CaseResult;
use clinker_model::verdict::RunResult;
use serde_json::Value;

use super::frame::{DARK, STYLE};
use super::*;
use crate::testing::{case, cases, failed, passed, subject, timeline};

fn full() -> File {
    let mut cases = cases();
    cases[1].plays[1].timeline = Some(timeline());
    File::of_cases(subject(), cases)
}

fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"timelines\">").expect("the data");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn every_item_is_there_with_what_is_known_of_it() {
    let page = page(&full());
    assert_eq!(page.matches("<details class=\"item\"").count(), 6);
    for piece in [
        "<h1>swift</h1>",
        "<span class=\"bad\">3 of 6 cases failed.</span> 1 passed, 2 failed, 1 broke, 1 failed as expected, 1 skipped.",
        "id=\"B-INIT-004\" data-verdict=\"fail\"",
        "<span>reinit after failures</span>",
        "<dt>Hint</dt><dd>the loop may end with the first exception</dd>",
        "<dt>Expected</dt><dd>an attempt of backup-host-1 at 60.000 s</dd>",
        "<td>refuse<span class=\"soft\"> swift</span></td><td>0s</td><td>130s</td><td>3</td>",
        "<code tabindex=\"0\">clinker conform --driver swift --case B-INIT-004 --seed 17</code>",
        "Failed <span class=\"n\">2</span>",
        "aria-label=\"0/3 passed (1 failed, 1 failed as expected, 1 skipped)\"",
    ] {
        assert!(page.contains(piece), "{piece} is not in the page");
    }
}

#[test]
fn what_a_case_has_said_its_plays_do_not_repeat() {
    let mut case = cases().remove(1);
    case.rule = "a `code` and <b>".to_owned();
    case.plays.remove(0);
    case.plays[0].findings[0].violations[0].rule.clone_from(&case.rule);
    case.plays[0].replay.clone_from(&case.replay);
    let page = page(&File::of_cases(subject(), vec![case]));
    for once in
        ["<dd>a <code>code</code> and &lt;b&gt;</dd>", "<span class=\"reason\">attempts</span>", "--case B-INIT-004"]
    {
        assert_eq!(page.matches(once).count(), 1, "{once}");
    }
    assert!(!page.contains("<h4>"));
}

#[test]
fn timelines_are_embedded_once_and_found_by_number() {
    let page = page(&full());
    assert!(page.contains("data-timeline=\"0\"") && !page.contains("data-timeline=\"1\""));
    let data = embedded(&page);
    let lane = &data["timelines"][0][1][0];
    assert_eq!(data["timelines"][0][0], 260_000_000);
    assert_eq!(data["text"][lane[0].as_u64().expect("a number") as usize], "backup-host-1");
    assert_eq!(lane[1], 7);
    // The second span: up, from 200 s, to the end, good.
    let up = &lane[2][1];
    assert_eq!((&up[0], &up[2], &up[3], &up[4]), (&1.into(), &200_000_000.into(), &(-1).into(), &1.into()));
    assert_eq!(data["text"][up[1].as_u64().expect("a number") as usize], "up");
}

#[test]
fn nothing_of_a_result_is_markup() {
    let odd = "</script><script>alert(1)</script><!-- \"'&\u{0}\n";
    let mut run =
        RunResult { scenario: odd.to_owned(), replay: odd.to_owned(), reason: Some(odd.to_owned()), ..failed() };
    let mut picture = timeline();
    picture.lanes[0].host = odd.to_owned();
    picture.lanes[0].spans[0].label = odd.to_owned();
    picture.lanes[1].marks[0].label = odd.to_owned();
    run.timeline = Some(picture);
    run.faults[0].name = odd.to_owned();
    run.findings[0].violations[0].expected = odd.to_owned();
    let text = || Some(odd.to_owned());
    let case = CaseResult {
        rule: odd.to_owned(),
        spec: odd.to_owned(),
        upstream: vec![odd.to_owned()],
        needs: vec![odd.to_owned()],
        reason: text(),
        hint: text(),
        fingerprint: text(),
        plays: vec![run.clone(), run.clone()],
        ..case(odd, odd, Verdict::Fail)
    };
    let mut subject = subject();
    subject.name = odd.to_owned();
    subject.capabilities = vec![odd.to_owned()];
    for file in [File::of_cases(subject, vec![case]), File::of_runs(vec![run])] {
        let page = page(&file);
        assert!(!page.contains("<script>alert"), "it is escaped everywhere");
        assert!(!page.contains('\u{0}'));
        assert_eq!(page.matches("</script>").count(), 3);
        assert!(embedded(&page).to_string().contains("</script>"));
    }
}

#[test]
fn the_page_loads_nothing() {
    let page = page(&full());
    for piece in ["http://", "https://", "//cdn", "@import", "url(h", " src=", "import("] {
        assert!(!page.contains(piece), "{piece}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn only_what_is_complete_is_called_so() {
    let full =
        |verdict| File::of_cases(subject(), vec![case("B-X-001", "x", Verdict::Pass), case("B-X-002", "x", verdict)]);
    assert!(
        page(&full(Verdict::Pass)).contains("All 2 cases passed") && page(&full(Verdict::Pass)).contains(">complete<")
    );
    for verdict in [Verdict::Skip, Verdict::Xfail] {
        let page = page(&full(verdict));
        assert!(page.contains("None of 2 cases failed") && !page.contains(">complete<"), "{verdict:?}");
    }
}

#[test]
fn runs_are_items_and_a_single_one_is_open() {
    let page = page(&File::of_runs(vec![failed()]));
    assert!(page.contains("<details class=\"item\" id=\"init/heals@swift:17\" data-verdict=\"fail\" open>"), "{page}");
    let both = super::page(&File::of_runs(vec![passed(), failed()]));
    assert!(both.contains("<span class=\"bad\">1 of 2 runs failed.</span>") && !both.contains(" open>"));
}

#[test]
fn a_whole_profile_stays_small() {
    let mut all = Vec::new();
    for n in 0..90 {
        let mut picture = timeline();
        for lane in &mut picture.lanes {
            let mark = lane.marks[0].clone();
            let more = |at: u64| clinker_model::timeline::Mark {
                t_ns: at * 1_000_000_000,
                label: format!("PUT /v1/volumebackups/backup#{n}-{at:05} 201"),
                ..mark.clone()
            };
            lane.marks = (0..150).map(more).collect();
        }
        let run = RunResult { timeline: Some(picture), ..failed() };
        all.push(CaseResult { plays: vec![run; 4], ..case(&format!("B-X-{n:03}"), "x", Verdict::Fail) });
    }
    let page = page(&File::of_cases(subject(), all));
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
}

/// The colours of a theme by name.
fn colours(css: &str) -> std::collections::BTreeMap<String, [f64; 3]> {
    let declared = css.split([';', '{', '}']).filter_map(|part| part.trim().strip_prefix("--")?.split_once(": #"));
    let hex = |hex: &str, at: usize| {
        let channel = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")) / 255.0;
        if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
    };
    let full = declared.filter(|(_, value)| value.len() == 6);
    full.map(|(name, value)| (name.to_owned(), [0, 2, 4].map(|at| hex(value, at)))).collect()
}

/// WCAG 2: from 1 (none) to 21 (black on white); text needs 4.5, a graphical object 3.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |[red, green, blue]: [f64; 3]| 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    (one / other).max(other / one)
}

#[test]
fn text_can_be_read_in_both_themes() {
    let light = STYLE.split("@media").next().expect("the first theme");
    for (theme, css) in [("light", light), ("dark", DARK)] {
        let colours = colours(css);
        let check = |text: &str, ground: &str, least: f64| {
            let ratio = contrast(colours[text], colours[ground]);
            assert!(ratio >= least, "{theme}: {text} on {ground} has {ratio:.2}");
        };
        for ground in ["paper", "surface", "raised"] {
            for text in ["ink", "soft", "pass", "fail", "ember", "c-0", "c-1", "c-2", "c-3", "focus"] {
                check(text, ground, 4.5);
            }
        }
        for verdict in ["pass", "fail", "error", "xfail", "skip"] {
            check(verdict, &format!("{verdict}-bg"), 4.5);
        }
        for bar in ["t-up", "t-down", "t-init", "t-ok"] {
            check("on-bar", bar, 4.5);
        }
        for mark in ["t-mark", "t-beat", "t-up", "t-down", "t-ok", "slots", "error"] {
            check(mark, "surface", 3.0);
        }
    }
}
