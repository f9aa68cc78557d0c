//! Reads a recorded exchange.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;

const CHUNK: &str = "chunk of backup data\n";

/// One file.
pub struct Recording {
    pub method: String,
    pub target: String,
    /// The request's head, with line ends as on the wire.
    pub head: String,
    pub request_headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub interim: Vec<u16>,
    pub status_line: String,
    pub headers: Vec<(String, String)>,
    /// What the file has of the body.
    pub answer: String,
    /// Whether that is all of it.
    pub whole: bool,
}

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn parse_headers(lines: &str) -> Vec<(String, String)> {
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect()
}

/// Splits a body from the mark that says how long it was: "...[1050 bytes in all]".
fn unmarked(body: &str) -> (&str, Option<usize>) {
    let Some((text, mark)) = body.rsplit_once("...[") else { return (body, None) };
    (text, mark.trim_end().strip_suffix(" bytes in all]").and_then(|len| len.parse().ok()))
}

/// The pieces of a chunked body, put together; the last may be cut.
fn unchunked(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((size, data)) = rest.split_once('\n') {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        let piece = &data[..size.min(data.len())];
        out += piece;
        rest = data[piece.len()..].trim_start_matches(['\r', '\n']);
    }
    out
}

impl Recording {
    pub fn read(file: &str) -> Recording {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let (_, text) = text.split_once("--- request\n").unwrap();
        let (request, response) = text.split_once("--- response\n").unwrap();
        let (head, body) = request.split_once("\n\n").unwrap_or((request.trim_end(), ""));
        let request_headers = parse_headers(head.split_once('\n').unwrap().1);
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let mut answer = response;
        let mut interim = Vec::new();
        while let Some((status, rest)) = answer.strip_prefix("HTTP/1.1 1").and_then(|rest| rest.split_once("\n\n")) {
            interim.push(format!("1{}", &status[..2]).parse().unwrap());
            answer = rest;
        }
        let (answer_head, answer) = answer.split_once("\n\n").unwrap();
        let (status_line, lines) = answer_head.split_once('\n').unwrap();
        let headers = parse_headers(lines);
        let (answer, cut) = unmarked(answer);
        let joined = (header(&headers, "transfer-encoding") == Some("chunked")).then(|| unchunked(answer));
        let answer = joined.as_deref().unwrap_or(answer);
        let len = header(&headers, "content-length").map(|len| len.parse().unwrap());
        let len: usize = len.or(joined.as_ref().map(String::len)).unwrap_or(0);
        let bodiless = method == "HEAD" || len == 0;
        let answer = if bodiless { "" } else { &answer[..len.min(answer.len())] };
        Recording {
            body: request_body(&request_headers, body),
            head: head.trim_end().replace('\n', "\r\n") + "\r\n\r\n",
            status_line: status_line.split_once(' ').unwrap().1.to_owned(),
            answer: answer.to_owned(),
            whole: cut.is_none(),
            method,
            target,
            request_headers,
            interim,
            headers,
        }
    }
}

/// The body as it went over the wire.
fn request_body(headers: &[(String, String)], text: &str) -> Vec<u8> {
    if header(headers, "transfer-encoding") == Some("chunked") {
        return b"5\r\nhello\r\n0\r\n\r\n".to_vec();
    }
    let (shown, cut) = unmarked(text);
    let len = cut.or_else(|| header(headers, "content-length")?.parse().ok()).unwrap_or(0);
    if !text.starts_with(CHUNK) {
        return text.as_bytes()[..len.min(text.len())].to_vec();
    }
    let body = chunk(len);
    let shown = shown.strip_suffix('\n').unwrap_or(shown);
    assert!(body.starts_with(shown.as_bytes()), "the cut body is not the chunk that all recordings send");
    body
}

/// `len` bytes of what the recordings send, or one of their short texts.
pub fn chunk(len: usize) -> Vec<u8> {
    match len {
        3 => b"abc".to_vec(),
        5 => b"hello".to_vec(),
        _ => CHUNK.bytes().cycle().take(len).collect(),
    }
}
