//! What account and container listings share: parameters, pages, names of headers.

use serde_json::Value;

use super::pages;
use super::route::decode;
use crate::answer::{Answer, python_json};
use crate::server::Request;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Json,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Plain => "text/plain; charset=utf-8",
            Format::Json => "application/json; charset=utf-8",
        }
    }
}

/// The query of a listing.
pub(super) struct Params {
    pub format: Format,
    /// Whether the query names the format; otherwise the `Accept` header decides, and the answer varies with it.
    asked: bool,
    prefix: String,
    marker: String,
    end_marker: Option<String>,
    pub limit: usize,
}

impl Params {
    /// Parameters that Swift knows and this fake does not are answered 501, those that nobody knows 400: Swift ignores
    /// the latter, and then a misspelt `prefix` lists everything.
    pub fn of(request: &Request, limit_max: usize) -> Result<Params, Answer> {
        let by_header = request.header("accept").is_some_and(|accept| accept.contains("application/json"));
        let format = if by_header { Format::Json } else { Format::Plain };
        let mut params = Params {
            format,
            asked: false,
            prefix: String::new(),
            marker: String::new(),
            end_marker: None,
            limit: limit_max,
        };
        for pair in request.query.iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(&value.replace('+', " "))
                .ok_or_else(|| pages::swob_text(412, format!("Invalid {key} parameter: not UTF-8")))?;
            params.take(key, value, limit_max)?;
        }
        Ok(params)
    }

    fn take(&mut self, key: &str, value: String, limit_max: usize) -> Result<(), Answer> {
        match key {
            "format" => {
                self.asked = true;
                self.format = match value.as_str() {
                    "json" => Format::Json,
                    "plain" | "" => Format::Plain,
                    _ => return Err(pages::unsupported(&format!("listings as {value}"))),
                };
            }
            "prefix" => self.prefix = value,
            "marker" => self.marker = value,
            "end_marker" => self.end_marker = Some(value).filter(|end| !end.is_empty()),
            "limit" => {
                let Ok(limit) = value.parse::<usize>() else {
                    return Err(pages::swob_text(400, format!("limit \"{value}\" is not a number")));
                };
                if limit > limit_max {
                    return Err(pages::swob_text(412, format!("Maximum limit is {limit_max}")));
                }
                self.limit = limit;
            }
            "delimiter" | "path" | "reverse" | "states" | "versions" | "symlink" => {
                return Err(pages::unsupported(&format!("listings by {key}")));
            }
            _ => return Err(pages::swob_text(400, format!("unknown listing parameter \"{key}\""))),
        }
        Ok(())
    }

    /// Whether a name is within prefix and markers.
    pub fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.prefix)
            && (self.marker.is_empty() || name > self.marker.as_str())
            && self.end_marker.as_deref().is_none_or(|end| name < end)
    }

    pub fn vary(&self, answer: Answer) -> Answer {
        if self.asked { answer } else { answer.header("Vary", "Accept") }
    }
}

/// A page of names, one a line; 204 if there is none.
pub(super) fn plain_page<'a>(mut answer: Answer, names: impl IntoIterator<Item = &'a String>) -> Answer {
    let text: String = names.into_iter().flat_map(|name| [name.as_str(), "\n"]).collect();
    if text.is_empty() {
        answer.status = 204;
    }
    answer.body(text)
}

pub(super) fn json_page(answer: Answer, rows: impl Iterator<Item = Value>) -> Answer {
    answer.body(python_json(&Value::Array(rows.collect())))
}

/// `quota-bytes` → `Quota-Bytes`.
pub(super) fn title(name: &str) -> String {
    let mut start = true;
    let cased = name.chars().map(|c| {
        let c = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        start = c == '-';
        c
    });
    cased.collect()
}
