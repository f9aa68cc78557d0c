//! The parsers of what servers answer, each by itself: for fuzzers and property tests, no interface for drivers.
//!
//! The documents of a backup are open anyway: [`crate::chunked::format`], [`crate::chunked::compress`]. Nothing here sends,
//! waits or retries.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

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
