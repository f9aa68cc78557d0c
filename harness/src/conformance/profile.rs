//! The profile at hand: the rows of `harness/profile/2026.1.toml`, and how to find one of them.
//!
//! What plays them is not here.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use anyhow::{Result, bail};
use clinker_model::conformance::{Case, Profile};

use crate::loader::suggest::nearest;

/// Words of [`Case::needs`] that are roles: who is put to the test. Every other word is a capability.
const ROLES: &[&str] = &["any", "store", "driver", "manager", "service"];

const TITLES: &[(&str, &str)] = &[
    ("CAP", "capability and set-up"),
    ("INIT", "initialising, being down, initialising again"),
    ("RES", "restart and crash recovery"),
    ("CRT", "create"),
    ("CHK", "the chunk engine and what is stored"),
    ("INC", "increments"),
    ("RST", "restore"),
    ("INT", "integrity"),
    ("DEL", "delete"),
    ("IMP", "export, import, reset, force"),
    ("NOTE", "notifications and progress"),
    ("FLT", "one fault at a time"),
    ("CON", "concurrency and limits"),
    ("SWF", "Swift"),
    ("S3", "S3"),
    ("CEPH", "Ceph"),
    ("PSX", "POSIX and NFS"),
    ("DET", "determinism"),
    ("PERF", "cost"),
];

static PROFILE: LazyLock<Profile> = LazyLock::new(|| {
    let text = include_str!("../../profile/2026.1.toml");
    toml::from_str(text).expect("the embedded profile is read by a test of its own")
});

/// Every case, in the order of the profile.
pub fn profile() -> &'static Profile {
    &PROFILE
}

/// The case of an id (`B-INIT-004`, or `INIT-004`, in any case) or of a slug (`reinit_after_failures`).
///
/// # Errors
///
/// An unknown word, with the id or slug nearest to it; a slug that two families have.
pub fn find(id_or_slug: &str) -> Result<&'static Case> {
    let upper = id_or_slug.to_uppercase();
    let named = |case: &&Case| {
        case.slug == id_or_slug || case.id == upper || case.id.strip_prefix("B-").is_some_and(|id| id == upper)
    };
    let found: Vec<&Case> = profile().cases.iter().filter(named).collect();
    match found[..] {
        [] => {}
        [case] => return Ok(case),
        [one, other, ..] => bail!("`{id_or_slug}` is the slug of {} and of {}: give the id", one.id, other.id),
    }
    let ids: Vec<&str> = profile().cases.iter().map(|case| case.id.as_str()).collect();
    let slugs: Vec<&str> = profile().cases.iter().map(|case| case.slug.as_str()).collect();
    match nearest(&upper, &ids).or_else(|| nearest(&format!("B-{upper}"), &ids)).or_else(|| nearest(id_or_slug, &slugs))
    {
        Some(near) => bail!("profile {} has no case `{id_or_slug}`; did you mean `{near}`?", profile().version),
        None => bail!("profile {} has no case `{id_or_slug}`; `clinker list cases` shows all", profile().version),
    }
}

/// Roles that cases need, in the order of what contains what; `any` is every role.
pub fn roles() -> &'static [&'static str] {
    ROLES
}

/// Capabilities that cases need, sorted.
pub fn capabilities() -> Vec<&'static str> {
    let needs = profile().cases.iter().flat_map(|case| &case.needs).map(String::as_str);
    needs.filter(|need| !ROLES.contains(need)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the cases of a family are about; nothing of a family that is not there.
pub fn title(family: &str) -> &'static str {
    TITLES.iter().find(|(name, _)| *name == family).map_or("", |(_, title)| title)
}

/// Families in the order of the profile: `CAP`, `INIT` …
pub fn families() -> Vec<&'static str> {
    let mut families: Vec<&str> = profile().cases.iter().map(Case::family).collect();
    families.dedup();
    families
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clinker_model::conformance::Level;

    use super::*;
    use crate::catalog;

    /// Every id there has ever been, with its slug.
    const IDS: &str = include_str!("../../profile/2026.1.ids");

    #[test]
    fn an_id_is_never_renumbered_and_never_vanishes() {
        let listed: Vec<&str> = IDS.lines().collect();
        let ours: Vec<String> = profile().cases.iter().map(|case| format!("{} {}", case.id, case.slug)).collect();
        for line in &listed {
            assert!(ours.iter().any(|own| own == line), "`{line}` of 2026.1.ids is no case of the profile any more");
        }
        for own in &ours {
            assert!(listed.contains(&own.as_str()), "add the new case `{own}` to 2026.1.ids");
        }
        assert!(listed.len() >= 154, "2026.1.ids has lost lines");
    }

    #[test]
    fn ids_have_the_form_of_ids_stand_in_order_and_are_unique() {
        let mut families = families();
        assert!(families.iter().all(|family| !title(family).is_empty()), "a family without a title: {families:?}");
        families.sort_unstable();
        assert!(families.windows(2).all(|pair| pair[0] != pair[1]), "a family stands in two places: {families:?}");
        let mut slugs = BTreeSet::new();
        let mut last = ("", 0);
        for case in &profile().cases {
            let parts: Vec<&str> = case.id.split('-').collect();
            let ["B", family, number] = parts[..] else { panic!("{} is no id", case.id) };
            let upper = |part: &str| part.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
            assert!(!family.is_empty() && upper(family) && number.len() == 3, "{} is no id", case.id);
            let number: u32 = number.parse().unwrap_or_else(|_| panic!("{} has no number", case.id));
            assert!(last.0 != family || last.1 < number, "{} does not come after number {}", case.id, last.1);
            last = (case.family(), number);
            assert!(slugs.insert((case.family(), &case.slug)), "two cases are called {}", case.slug);
        }
    }

    #[test]
    fn every_case_says_what_must_be_so_and_where_that_comes_from() {
        for case in &profile().cases {
            assert!(case.rule.len() > 40 && case.rule.ends_with('.'), "{}: `{}` is no sentence", case.id, case.rule);
            assert!(!case.spec.is_empty(), "{} has no source", case.id);
            assert!([1, 2].contains(&case.wave), "{} is of wave {}", case.id, case.wave);
            assert!(!case.needs.is_empty(), "{} does not say what it is about", case.id);
            for test in &case.upstream {
                assert!(
                    test.split_once(": ").is_some_and(|(_, name)| name.starts_with("test_")),
                    "{}: {test}",
                    case.id
                );
            }
        }
    }

    #[test]
    fn every_scenario_and_every_check_of_a_case_exists() -> Result<()> {
        let scenarios: Vec<String> = catalog::embedded()?.into_iter().map(|entry| entry.name).collect();
        let checks: Vec<&str> = clinker_judge::CHECKERS.iter().map(|checker| checker.name).collect();
        for case in &profile().cases {
            for name in &case.scenarios {
                assert!(scenarios.contains(name), "{} names the scenario {name}, which is not there", case.id);
            }
            for name in &case.checks {
                assert!(checks.contains(&name.as_str()), "{} names the check {name}, which is not there", case.id);
            }
            assert!(case.checks.is_empty() || !case.scenarios.is_empty(), "{}: checks of no scenario", case.id);
            // A scenario that may fail by anything shows nothing of a rule.
            let named = !case.checks.is_empty() || case.scenarios.is_empty() || case.wave > 1;
            assert!(named, "{} does not say which checks of its scenarios show it", case.id);
        }
        Ok(())
    }

    #[test]
    fn every_manager_case_of_the_first_wave_has_scenarios_for_each_kind_of_store() -> Result<()> {
        let drivers: BTreeMap<String, Vec<String>> =
            catalog::embedded()?.into_iter().map(|entry| (entry.name, entry.scenario.drivers)).collect();
        let first =
            profile().cases.iter().filter(|case| case.wave == 1 && case.needs.iter().any(|need| need == "manager"));
        let mut seen = 0;
        for case in first {
            for driver in ["swift", "s3", "posix"] {
                let plays =
                    |name: &String| drivers.get(name).is_some_and(|drivers| drivers.iter().any(|d| d == driver));
                assert!(case.scenarios.iter().any(plays), "{} {} has no scenario of {driver}", case.id, case.slug);
            }
            seen += 1;
        }
        assert!(seen >= 40, "only {seen} manager cases");
        Ok(())
    }

    #[test]
    fn a_case_is_found_by_id_and_slug_and_a_wrong_one_suggested() {
        for word in ["B-INIT-004", "b-init-004", "INIT-004", "reinit_after_failures"] {
            assert_eq!(find(word).map(|case| case.id.as_str()).ok(), Some("B-INIT-004"), "{word}");
        }
        for (word, near) in
            [("B-INIT-040", "B-INIT-0"), ("CRT-0O7", "B-CRT-007"), ("renit_after_failure", "reinit_after_failures")]
        {
            let told = find(word).expect_err(word).to_string();
            assert!(told.contains(&format!("did you mean `{near}")), "{told}");
        }
        let told = find("bad_statuses").expect_err("two families have it").to_string();
        assert_eq!(told, "`bad_statuses` is the slug of B-CRT-004 and of B-RST-005: give the id");
    }

    #[test]
    fn roles_and_capabilities_are_those_of_the_cases() {
        let used = |word: &&str| profile().cases.iter().any(|case| case.needs.iter().any(|need| need == word));
        assert!(roles().iter().all(used), "a role that no case needs");
        let expected = ["auth", "ceph", "etag_md5", "fixtures", "incremental", "keys", "list_bound", "net", "nfs"];
        assert_eq!(capabilities()[..expected.len()], expected);
        assert!(profile().cases.iter().any(|case| case.level == Level::Should && !case.is_core()));
    }
}
