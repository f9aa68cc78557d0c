//! Where in the text a field stands: spans become lines and columns.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;
use super::suggest::hint;

/// A parsed file that remembers where everything stands.
pub struct Document<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    pub fn parse(text: &'t str) -> Result<Document<'t>, toml::de::Error> {
        DeTable::parse(text).map(|root| Document { text, root })
    }

    /// A problem at a path of keys and positions, e.g. `["fault", "0", "until"]`; at the deepest part that exists.
    pub fn problem(&self, path: &[&str], message: String) -> Problem {
        problem(self.text, self.span(path), message)
    }

    fn span(&self, path: &[&str]) -> Range<usize> {
        let mut span = 0..0;
        let mut value: Option<&DeValue<'_>> = None;
        for part in path {
            let table = match value {
                None => self.root.get_ref(),
                Some(DeValue::Table(table)) => table,
                Some(DeValue::Array(array)) => {
                    let Some(element) = part.parse::<usize>().ok().and_then(|index| array.get(index)) else { break };
                    span = element.span();
                    value = Some(element.get_ref());
                    continue;
                }
                Some(_) => break,
            };
            let Some((key, inner)) = table.iter().find(|(key, _)| key.get_ref() == part) else { break };
            span = key.span();
            value = Some(inner.get_ref());
        }
        span
    }
}

fn problem(text: &str, span: Range<usize>, message: String) -> Problem {
    let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = (start..=span.end.clamp(start, line_end)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(start);
    Problem {
        line: text[..line_start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        width: text[start..end].chars().count(),
        text: text[line_start..line_end].trim_end_matches('\r').to_owned(),
        message,
    }
}

/// A parser's error in our words, with a suggestion where a name is unknown.
pub fn parse_problem(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let message = match quoted.split_first() {
        Some((word, known)) if unknown => {
            let what = if message.starts_with("unknown field") { "field" } else { "value" };
            format!("unknown {what} `{word}`{}", hint(word, known))
        }
        _ => message.trim().replace('\n', ", "),
    };
    problem(text, error.span().unwrap_or(0..0), message)
}
