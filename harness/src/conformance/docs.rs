//! The parts of `docs/conformance.md` that are made of the profile. The tests below hold the file to them;
//! `CLINKER_WRITE_DOCS=1 cargo test -p clinker --lib conformance::docs` writes them.

use std::collections::BTreeMap;
use std::fmt::Write;

use clinker_model::conformance::{Case, Level};

use super::profile::{families, profile, title};

const COMMAND: &str = "CLINKER_WRITE_DOCS=1 cargo test -p clinker --lib conformance::docs";

fn file() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md")
}

fn of(family: &str) -> impl Iterator<Item = &'static Case> {
    profile().cases.iter().filter(move |case| case.family() == family)
}

/// What the case counts for.
fn level(case: &Case) -> &'static str {
    match (case.is_core(), case.level) {
        (true, _) => "Core",
        (false, Level::Must) => "Extended (must)",
        (false, Level::Should) => "Extended",
    }
}

fn family_table() -> String {
    let mut table = "| family | about | cases | Core | needs |\n| --- | --- | --- | --- | --- |\n".to_owned();
    let (mut cases, mut core) = (0, 0);
    for family in families() {
        let mut needs: Vec<&str> = of(family).flat_map(|case| &case.needs).map(String::as_str).collect();
        needs.sort_unstable();
        needs.dedup();
        let (all, must) = (of(family).count(), of(family).filter(|case| case.is_core()).count());
        (cases, core) = (cases + all, core + must);
        let _ = writeln!(table, "| {family} | {} | {all} | {must} | {} |", title(family), needs.join(", "));
    }
    let _ = writeln!(table, "| all | | {cases} | {core} | |");
    table
}

fn case_tables() -> String {
    let mut text = String::new();
    for family in families() {
        let _ = writeln!(text, "### {family}: {}\n", title(family));
        text.push_str("| case | level | needs | rule | source |\n| --- | --- | --- | --- | --- |\n");
        for case in of(family) {
            let note = case.note.as_ref().map_or(String::new(), |note| format!(" *{note}*"));
            let _ = writeln!(
                text,
                "| {} `{}` | {} | {} | {}{note} | {} |",
                case.id,
                case.slug,
                level(case),
                case.needs.join(", "),
                case.rule,
                case.spec,
            );
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn known_table() -> String {
    let mut table = "| case | how |\n| --- | --- |\n".to_owned();
    for case in &profile().cases {
        if let Some(known) = &case.known {
            let _ = writeln!(table, "| {} `{}` | {known} |", case.id, case.slug);
        }
    }
    table
}

/// Tests of one file, under its name once.
fn tests(case: &Case) -> String {
    let mut files: Vec<(&str, Vec<&str>)> = Vec::new();
    for test in &case.upstream {
        let (file, name) = test.split_once(": ").unwrap_or(("", test));
        match files.iter_mut().find(|(known, _)| *known == file) {
            Some((_, names)) => names.push(name),
            None => files.push((file, vec![name])),
        }
    }
    let each = files.iter().map(|(file, names)| {
        format!("{file}: {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn trace_table() -> String {
    let mut table = "| case | tests of the original |\n| --- | --- |\n".to_owned();
    let (covered, alone): (Vec<&Case>, Vec<&Case>) = profile().cases.iter().partition(|case| !case.upstream.is_empty());
    for case in covered {
        let _ = writeln!(table, "| {} `{}` | {} |", case.id, case.slug, tests(case));
    }
    let mut numbers: BTreeMap<usize, (&str, Vec<&str>)> = BTreeMap::new();
    for case in &alone {
        let place = families().iter().position(|family| *family == case.family()).unwrap_or_default();
        numbers.entry(place).or_insert((case.family(), Vec::new())).1.push(&case.id[case.id.len() - 3..]);
    }
    let lists = numbers.values().map(|(family, numbers)| format!("{family} {}", numbers.join(", ")));
    let _ = writeln!(
        table,
        "\nNo test of the original looks at these {} rules: {}.",
        alone.len(),
        lists.collect::<Vec<_>>().join("; ")
    );
    table
}

/// The text with each generated part, from its `<!-- begin NAME -->` to its `<!-- end NAME -->`, as it should be.
fn current(text: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for (name, part) in
        [("families", family_table()), ("cases", case_tables()), ("known", known_table()), ("trace", trace_table())]
    {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let (Some(start), Some(stop)) = (text.find(&begin), text.find(&end)) else {
            return Err(format!("docs/conformance.md has no part {name}"));
        };
        text.replace_range(start + begin.len()..stop, &format!("\n{part}\n"));
    }
    Ok(text)
}

#[test]
fn the_tables_of_docs_conformance_are_those_of_the_profile() -> Result<(), Box<dyn std::error::Error>> {
    let found = std::fs::read_to_string(file())?;
    let expected = current(&found)?;
    if std::env::var_os("CLINKER_WRITE_DOCS").is_some() {
        std::fs::write(file(), &expected)?;
        return Ok(());
    }
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "docs/conformance.md is not the profile's, from {differs:?} on: run {COMMAND}");
    Ok(())
}

#[test]
fn no_cell_of_a_table_breaks_it() {
    for case in &profile().cases {
        let told = [&case.rule, &case.spec].into_iter().chain(&case.known).chain(&case.upstream);
        for text in told {
            assert!(!text.contains('|') && !text.contains('\n'), "{}: {text}", case.id);
        }
    }
}
