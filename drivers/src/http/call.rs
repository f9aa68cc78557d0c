//! One request to a store of objects, before it is addressed and authorised; and the paths of containers and objects.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{BodyLimit, Failure, Method, Request, Response, Url};
use crate::{Error, Kind, Result, Stop};

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Objects keep their slashes.
const OBJECT: AsciiSet = UNRESERVED.remove(b'/');

/// The percent-encoded form of a container's or project's name, or of a query's value.
pub(crate) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, &UNRESERVED).to_string()
}

pub(crate) fn container_path(container: &str) -> String {
    format!("/{}", encoded(container))
}

pub(crate) fn object_path(container: &str, name: &str) -> String {
    format!("/{}/{}", encoded(container), utf8_percent_encode(name, &OBJECT))
}

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Set-up checks: each request once, with the credentials as they are.
    Once,
    /// Data operations: the configured retries, and one renewal of a token.
    Full,
}

/// What a driver asks of its store.
pub(crate) struct Call {
    pub method: Method,
    /// For error texts, e.g. `put of vol-1-00001`.
    pub what: String,
    /// Below the store's URL.
    pub path: String,
    headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// A status that is an answer like a success, not an error.
    also_ok: Option<u16>,
    heeds_throttling: bool,
    /// None: its answer is a document.
    answer: Option<BodyLimit>,
    pub stop: Stop,
    /// How often it was given up because no answer came.
    timeouts: AtomicU64,
}

impl Call {
    pub fn new(method: Method, what: impl Into<String>, path: String) -> Call {
        Call {
            method,
            what: what.into(),
            path,
            headers: Vec::new(),
            body: Bytes::new(),
            also_ok: None,
            heeds_throttling: false,
            answer: None,
            stop: Stop::default(),
            timeouts: AtomicU64::new(0),
        }
    }

    /// Its answer is an object of at most `max` bytes; a longer one is not what was stored.
    pub fn answer_at_most(mut self, max: u64) -> Call {
        self.answer = Some(BodyLimit { max, kind: Kind::Integrity });
        self
    }

    /// It is not to be begun, or sent again, once that is set.
    pub fn until(mut self, stop: &Stop) -> Call {
        self.stop = stop.clone();
        self
    }

    /// It is one of many that may be on their way at once: it waits when the server refuses others.
    pub fn heed_throttling(mut self) -> Call {
        self.heeds_throttling = true;
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: Bytes) -> Call {
        self.body = body;
        self
    }

    /// `status` is an answer like a success, not an error.
    pub fn or_status(mut self, status: u16) -> Call {
        self.also_ok = Some(status);
        self
    }

    /// Notes what became of an attempt.
    pub fn noted(&self, outcome: Result<Response>) -> Result<Response> {
        if outcome.as_ref().is_err_and(|error| error.kind == Kind::Timeout) {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    pub fn accepts(&self, response: &Response) -> bool {
        response.is_success() || self.also_ok == Some(response.status)
    }

    /// The request to `target`, whose URL is `base`.
    pub fn request(&self, target: &'static str, base: &Url) -> Result<Request> {
        let mut request = Request::new(target, self.method.clone(), base.join(&self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        request.heeds_throttling = self.heeds_throttling;
        request.stop = self.stop.clone();
        request.timeouts = self.timeouts.load(Ordering::Relaxed);
        request.answer = self.answer.unwrap_or(request.answer);
        Ok(request.body(self.body.clone()))
    }
}

/// Puts what was being done before the text.
pub(crate) fn named(what: &str, mut failure: Failure) -> Failure {
    failure.error.what = format!("{what}: {}", failure.error.what);
    failure
}

/// The failure that a status stands for. `what` may be empty.
pub(crate) fn refused(target: &str, what: &str, response: &Response) -> Failure {
    let status = response.status;
    let text = format!("{target} answered {status}");
    let text = if what.is_empty() { text } else { format!("{what}: {text}") };
    let error = match status {
        401 | 403 => Error::new(Kind::Auth, text),
        404 => Error::new(Kind::NotFound, text),
        409 => Error::new(Kind::Conflict, text),
        413 | 507 => Error::new(Kind::Quota, text),
        422 => Error::new(Kind::Integrity, text),
        408 | 429 | 498 | 499 | 500.. => Error::transient(Kind::Unreachable, text),
        _ => Error::new(Kind::Internal, text),
    };
    Failure { error, retry_after: response.retry_after(), paced: false }
}
