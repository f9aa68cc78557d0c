//! Damage to a sound document: bytes changed, cut, repeated, and what nobody would write put in.

use proptest::prelude::*;
use proptest::sample::Index;

/// What is put in, between tokens or in their place.
const SNIPPETS: &[&str] = &[
    "",
    "0",
    "-1",
    "1e999",
    "18446744073709551615",
    "9223372036854775808",
    "340282366920938463463374607431768211456",
    "null",
    "true",
    "\"\"",
    "{}",
    "[]",
    "[[[[[[[[",
    "{\"a\":{\"a\":",
    "\"\\u0000\\n\"",
    "\"\\ud800\"",
    "\"volume_1\"",
    ",",
    "\"",
    "<",
    ">",
    "&a;",
    "&#0;",
    "&lt;",
    "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">]>",
    "<![CDATA[",
    "]]>",
    "<Contents>",
    "</Contents>",
    "<Key/>",
    "<a><a><a>",
    "\u{0}",
    "\u{e9}\u{202e}",
    "%2e%2e/",
    "../",
    "\r\n",
    "http://",
    "[::1]:99999",
];

#[derive(Clone, Debug)]
pub enum Change {
    Flip(Index, u8),
    /// Removes so many bytes.
    Cut(Index, usize),
    End(Index),
    /// Repeats so many bytes so often.
    Repeat(Index, usize, usize),
    Insert(Index, &'static str),
    /// A token (a word, a number, or one other character) becomes something else.
    Replace(Index, &'static str),
    /// A token with all up to the next of its kind goes, or is there twice.
    Member(Index, bool),
}

pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let snippet = || proptest::sample::select(SNIPPETS);
    let one = prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        1 => (at(), 1usize..40).prop_map(|(at, len)| Change::Cut(at, len)),
        1 => at().prop_map(Change::End),
        1 => (at(), 1usize..60, 1usize..50).prop_map(|(at, len, times)| Change::Repeat(at, len, times)),
        1 => (at(), snippet()).prop_map(|(at, text)| Change::Insert(at, text)),
        4 => (at(), snippet()).prop_map(|(at, text)| Change::Replace(at, text)),
        2 => (at(), any::<bool>()).prop_map(|(at, twice)| Change::Member(at, twice)),
    ];
    proptest::collection::vec(one, 1..5)
}

/// The document with all changes made, one after another.
pub fn apply(document: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        let within = |at: &Index, size: usize| at.index(len)..(at.index(len) + size).min(len);
        match change {
            Change::Flip(at, byte) => bytes[at.index(len)] = *byte,
            Change::Cut(at, size) => drop(bytes.drain(within(at, *size))),
            Change::End(at) => bytes.truncate(at.index(len)),
            Change::Repeat(at, size, times) => {
                let range = within(at, *size);
                let piece = bytes[range.clone()].repeat(*times);
                bytes.splice(range.end..range.end, piece);
            }
            Change::Insert(at, text) => drop(bytes.splice(within(at, 0), text.bytes())),
            Change::Replace(at, text) => {
                let tokens = tokens(&bytes);
                let token = tokens[at.index(tokens.len())].clone();
                bytes.splice(token, text.bytes());
            }
            Change::Member(at, twice) => {
                let tokens = tokens(&bytes);
                let first = at.index(tokens.len());
                let kind = bytes[tokens[first].start];
                let next = tokens[first + 1..].iter().find(|token| bytes[token.start] == kind);
                let range = tokens[first].start..next.map_or(len, |token| token.start);
                let piece = if *twice { bytes[range.clone()].repeat(2) } else { Vec::new() };
                bytes.splice(range, piece);
            }
        }
    }
    bytes
}

fn tokens(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let mut tokens: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        match tokens.last_mut() {
            Some(token) if word(byte) && word(&bytes[token.end - 1]) => token.end = at + 1,
            _ => tokens.push(at..at + 1),
        }
    }
    tokens
}
