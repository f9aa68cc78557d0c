//! The parsers of what servers answer, each by itself: for fuzzers, property tests and benches, no interface for drivers.
//! Beside them two decisions of the chunk engine, which benches count the instructions of.
//!
//! The documents of a backup are open anyway: [`crate::chunked::format`], [`crate::chunked::compress`]. Nothing here sends,
//! waits or retries.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::chunked::coverage::Coverage;
use crate::chunked::cut;
use crate::http::{Response, Url};
use crate::{Error, Options, Result, s3, swift};

/// An answer of this status. Headers that HTTP cannot carry never reach a parser and are left out.
pub fn answer(status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    Response { status, headers: map, body: Bytes::copy_from_slice(body) }
}

/// The names in a page of ListObjectsV2, sorted, each with `prefix`.
pub fn s3_page(prefix: &str, page: &Response) -> Result<Vec<String>> {
    s3::list::names(prefix, page)
}

/// What an S3 server's refusal stands for, and how long it asks to wait.
pub fn s3_refusal(refusal: &Response) -> (Error, Option<Duration>) {
    let failure = s3::answers::failure("put of o", "us-east-1", refusal);
    (failure.error, failure.retry_after)
}

/// The names in a page of a Swift container's listing, sorted, each with `prefix`.
pub fn swift_page(prefix: &str, page: &Response) -> Result<Vec<String>> {
    swift::list::names(prefix, page)
}

/// The account that a v1 authentication leads to.
pub fn swift_v1_account(answer: &Response) -> Result<Url> {
    swift::auth::v1_session(answer).map(|session| session.storage)
}

/// The account that a Keystone v3 authentication leads to, chosen from the answer's catalog by the options.
pub fn keystone_account(options: &Options, answer: &Response) -> Result<Url> {
    swift::auth::v3_account(options, answer)
}

/// The runs of blocks that differ from the parent's: each becomes an object.
pub fn changed_runs(now: &[[u8; 32]], parent: &[[u8; 32]]) -> Vec<Range<usize>> {
    cut::changed_runs(now, Some(parent))
}

/// What of each write, in their order, no later one writes over.
pub fn visible(writes: &[Range<u64>]) -> Vec<Vec<Range<u64>>> {
    let mut coverage = Coverage::default();
    for (writer, range) in writes.iter().enumerate() {
        coverage.overwrite(range.clone(), writer);
    }
    writes.iter().enumerate().map(|(writer, range)| coverage.visible(range.clone(), writer)).collect()
}
