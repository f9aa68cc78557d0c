//! From a scenario file to a plan: parse, check, complete. Nothing runs here and nothing is read from disk.
//!
//! [`load`] turns text into a checked [`Scenario`] or says where it is wrong; [`plan()`] makes every choice for one driver
//! preset and one seed. What a file may say is described in `docs/scenario-format.md`.

mod check;
mod expectations;
mod faults;
mod hosts;
pub(crate) mod locate;
mod plan;
pub mod presets;
mod steps;
pub(crate) mod suggest;

use std::fmt;

use clinker_model::scenario::Scenario;

pub use check::{CORES, HOSTS, LATEST_MOMENT};
pub use hosts::own_disk;
pub use plan::{fits, plan};

use locate::Document;

/// One thing wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// How many characters of the line it concerns.
    pub width: usize,
    /// The line as it stands in the file.
    pub text: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Everything wrong with a scenario; fits after "failed to load ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    pub file: String,
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let number = problem.line.to_string();
            let indent = " ".repeat(number.len());
            let before: String =
                problem.text.chars().take(problem.column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
            writeln!(f, "{}:{}:{}: {}", self.file, problem.line, problem.column, problem.message)?;
            writeln!(f, "  {number} | {}", problem.text)?;
            write!(f, "  {indent} | {before}{}", "^".repeat(problem.width.max(1)))?;
        }
        Ok(())
    }
}

/// Parses and checks a scenario. `name` is what errors call the file; `options` are the option names that exist.
///
/// # Errors
/// Every problem found, each with its place; a file that does not parse has one.
pub fn load(name: &str, text: &str, options: &[&str]) -> Result<Scenario, LoadError> {
    let fail = |problems: Vec<Problem>| LoadError { file: name.to_owned(), problems };
    let document = Document::parse(text).map_err(|error| fail(vec![locate::parse_problem(text, &error)]))?;
    let scenario: Scenario = toml::from_str(text).map_err(|error| fail(vec![locate::parse_problem(text, &error)]))?;
    let mut checker = check::Checker::new(&document, &scenario);
    checker.run(options);
    if checker.problems.is_empty() { Ok(scenario) } else { Err(fail(checker.problems)) }
}

#[cfg(test)]
mod tests;
