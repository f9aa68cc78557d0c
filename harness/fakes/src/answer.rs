//! Answers before they are put on the wire, and JSON spelled as Python's `json.dumps` spells it.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// What a fake says to one request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// The words after the status; hyper's own for that status if absent.
    pub reason: Option<&'static str>,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// `Content-Length` of an answer to HEAD; the length of `body` for all others.
    pub head_length: u64,
}

impl Answer {
    pub fn new(status: u16, content_type: &str) -> Answer {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Answer { status, reason: None, headers, body: Bytes::new(), head_length: 0 }
    }

    pub fn bare(status: u16) -> Answer {
        Answer { status, reason: None, headers: Vec::new(), body: Bytes::new(), head_length: 0 }
    }

    pub fn header(mut self, name: impl Into<String>, value: impl ToString) -> Answer {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Answer {
        self.body = body.into();
        self
    }

    pub fn reason(mut self, reason: &'static str) -> Answer {
        self.reason = Some(reason);
        self
    }
}

/// Renders JSON with `", "` and `": "` and escapes all that is not ASCII.
pub(crate) fn python_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Python));
    written.expect("a JSON value always serialises into memory");
    out
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let mut units = [0; 2];
        for c in text.chars() {
            if c.is_ascii() {
                out.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spelled_as_python_spells_it() {
        let value = serde_json::json!([{"a": 1, "b": "é😀\n"}, {}]);
        assert_eq!(String::from_utf8(python_json(&value)).unwrap(), r#"[{"a": 1, "b": "\u00e9\ud83d\ude00\n"}, {}]"#);
    }
}
