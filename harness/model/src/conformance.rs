//! Conformance: the rows of a profile, and what became of each of them for one driver.

use serde::{Deserialize, Serialize};

use crate::verdict::{RunResult, Verdict};

/// A versioned list of cases. Ids are never renumbered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `2026.1`.
    pub version: String,
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// One rule that a backup service or its driver has to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `B-INIT-004`.
    pub id: String,
    /// `reinit_after_failures`.
    pub slug: String,
    pub level: Level,
    /// 1 or 2: cases of the second wave are Extended whatever their level.
    pub wave: u8,
    /// What it is about: roles (`store`, `driver`, `manager`, `service`, `any`) and capabilities (`incremental`, `auth` …).
    pub needs: Vec<String>,
    /// What must be so, in a sentence.
    pub rule: String,
    /// Where the rule comes from: a section of a specification, a decision (`D5`), a page of a protocol.
    pub spec: String,
    /// Tests of the original service that cover it, at least in part.
    #[serde(default)]
    pub upstream: Vec<String>,
    /// How the original Python service is known to break it.
    #[serde(default)]
    pub known: Option<String>,
    /// Why it is Extended although its level is MUST.
    #[serde(default)]
    pub note: Option<String>,
    /// Scenarios that show it with the whole service.
    #[serde(default)]
    pub scenarios: Vec<String>,
    /// Checkers that must have applied in at least one of them.
    #[serde(default)]
    pub checks: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Must,
    Should,
}

impl Case {
    /// Whether Core demands it: a MUST of the first wave that something is known to turn red.
    pub fn is_core(&self) -> bool {
        self.level == Level::Must && self.wave == 1 && self.note.is_none()
    }

    /// `INIT` of `B-INIT-004`.
    pub fn family(&self) -> &str {
        self.id.split('-').nth(1).unwrap_or_default()
    }
}

/// What is put to the test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// `swift`, or the name that a plug-in gives itself.
    pub name: String,
    /// `built-in`, `plug-in` or `adapter`.
    pub kind: String,
    /// `store`, `driver`, `manager`.
    pub roles: Vec<String>,
    /// What it claims to be able to do.
    pub capabilities: Vec<String>,
    /// The profile's version.
    pub profile: String,
}

/// What became of one case. Each case of the profile has exactly one, run or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    pub id: String,
    pub slug: String,
    pub level: Level,
    /// Whether Core demands it.
    pub core: bool,
    pub needs: Vec<String>,
    pub rule: String,
    pub spec: String,
    #[serde(default)]
    pub upstream: Vec<String>,
    pub verdict: Verdict,
    /// Why, when the verdict is not `pass`; of a pass, what of it was not shown.
    pub reason: Option<String>,
    /// How it failed, in words that are the same at every seed and on every machine.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What may be behind a failure.
    #[serde(default)]
    pub hint: Option<String>,
    /// What was played for it, in order.
    pub plays: Vec<RunResult>,
    pub wall_ms: u64,
    /// The command that repeats it.
    pub replay: String,
}

impl CaseResult {
    /// The result of a case of which nothing has been played.
    pub fn of(case: &Case) -> CaseResult {
        CaseResult {
            id: case.id.clone(),
            slug: case.slug.clone(),
            level: case.level,
            core: case.is_core(),
            needs: case.needs.clone(),
            rule: case.rule.clone(),
            spec: case.spec.clone(),
            upstream: case.upstream.clone(),
            verdict: Verdict::Skip,
            reason: None,
            fingerprint: None,
            hint: None,
            plays: Vec::new(),
            wall_ms: 0,
            replay: String::new(),
        }
    }
}
