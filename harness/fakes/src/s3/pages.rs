//! S3's error documents, as each server writes them.

use super::Flavour;
use crate::answer::Answer;

/// Stands in a body for the id that the answer gets last.
const ID: &str = "{request id}";
/// What follows an id of RGW's, and of its host.
pub(super) const RGW_TAIL: &str = "-103a-default";
const RGW_HOST: &str = "103a-default-default";
/// Characters of an id without the tail.
const ID_LENGTH: usize = 34;

/// Messages as s3api words them; RGW has none.
const MESSAGES: &[(&str, &str)] = &[
    ("AccessDenied", "Access Denied."),
    ("BadDigest", "The Content-MD5 you specified did not match what we received."),
    (
        "BucketAlreadyExists",
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please \
         select a different name and try again.",
    ),
    ("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."),
    ("BucketNotEmpty", "The bucket you tried to delete is not empty"),
    ("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."),
    ("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header."),
    ("InternalError", "We encountered an internal error. Please try again."),
    ("InvalidArgument", "Invalid Argument."),
    ("InvalidBucketName", "The specified bucket is not valid."),
    ("InvalidDigest", "The Content-MD5 you specified was invalid."),
    ("InvalidLocationConstraint", "The specified location constraint is not valid."),
    ("InvalidRange", "The requested range cannot be satisfied."),
    ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    ("MissingContentLength", "You must provide the Content-Length HTTP header."),
    ("NoSuchBucket", "The specified bucket does not exist."),
    ("NoSuchKey", "The specified key does not exist."),
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
    ("ServiceUnavailable", "Please reduce your request rate."),
    (
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing \
         method.",
    ),
    ("SlowDown", "Please reduce your request rate."),
    ("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."),
];

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: Option<String>,
    /// Elements that only s3api has.
    more: Vec<(&'static str, String)>,
    /// The element by which RGW names the bucket.
    bucket: Option<String>,
    /// A page of Swift's in place of a document.
    html: bool,
}

impl Refusal {
    pub fn new(status: u16, code: &str) -> Refusal {
        Refusal { status, code: code.to_owned(), message: None, more: Vec::new(), bucket: None, html: false }
    }

    /// What s3api leaves to Swift, which knows no such request.
    pub fn by_swift() -> Refusal {
        Refusal { html: true, ..Refusal::new(400, "") }
    }

    /// Something that S3 can do and this fake does not.
    pub fn unsupported(what: &str) -> Refusal {
        Refusal::new(501, "NotImplemented").saying(format!("this S3 does not serve {what}"))
    }

    /// What a fault's status comes with.
    pub fn of_status(status: u16, object: bool) -> Refusal {
        let code = match status {
            400 => "InvalidRequest",
            401 | 403 => "AccessDenied",
            404 if object => "NoSuchKey",
            404 => "NoSuchBucket",
            408 => "RequestTimeout",
            409 => "OperationAborted",
            411 => "MissingContentLength",
            412 => "PreconditionFailed",
            413 => "EntityTooLarge",
            429 => "SlowDown",
            500 => "InternalError",
            501 => "NotImplemented",
            503 => "ServiceUnavailable",
            507 => "QuotaExceeded",
            _ => "UnexpectedError",
        };
        Refusal::new(status, code)
    }

    pub fn saying(mut self, message: impl Into<String>) -> Refusal {
        self.message = Some(message.into());
        self
    }

    pub fn also(mut self, element: &'static str, text: impl Into<String>) -> Refusal {
        self.more.push((element, text.into()));
        self
    }

    pub fn in_bucket(mut self, bucket: Option<&str>) -> Refusal {
        self.bucket = bucket.map(str::to_owned);
        self
    }

    pub fn render(self, flavour: Flavour) -> Answer {
        if self.html {
            let sentence = "The server could not comply with the request since it is either malformed or otherwise \
                            incorrect.";
            let body = format!("<html><h1>Bad Request</h1><p>{sentence}</p></html>");
            return Answer::new(400, "text/html; charset=UTF-8").body(body);
        }
        let mut answer = Answer::new(self.status, "application/xml");
        if self.status == 416 {
            answer = answer.reason("Requested Range Not Satisfiable");
        }
        let code = element("Code", &self.code);
        if flavour == Flavour::Rgw {
            let bucket = self.bucket.map(|name| element("BucketName", &name)).unwrap_or_default();
            let (id, host) = (element("RequestId", &format!("{ID}{RGW_TAIL}")), element("HostId", RGW_HOST));
            let body = format!("{}<Error>{code}<Message></Message>{bucket}{id}{host}</Error>", declaration(flavour));
            return answer.header("Accept-Ranges", "bytes").body(body);
        }
        let known = MESSAGES.iter().find(|known| known.0 == self.code).map(|known| known.1);
        let message = element("Message", self.message.as_deref().or(known).unwrap_or_default());
        let more: String = self.more.iter().map(|(name, text)| element(name, text)).collect();
        answer.body(format!("{}<Error>{code}{message}{}{more}</Error>", declaration(flavour), element("RequestId", ID)))
    }
}

pub(super) fn declaration(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::S3api => "<?xml version='1.0' encoding='UTF-8'?>\n",
        Flavour::Rgw => "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    }
}

/// An element with a text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whether Swift answers, s3api having let the request through.
pub(super) fn is_swifts_own(answer: &Answer) -> bool {
    answer.status == 400 && answer.body.starts_with(b"<html>")
}

/// Puts the id where a document has it. Only refusals do: bodies of objects are left alone.
pub(super) fn with_id(mut answer: Answer, id: &str) -> Answer {
    if answer.status >= 300
        && let Ok(text) = std::str::from_utf8(&answer.body)
    {
        let id = id.strip_suffix(RGW_TAIL).unwrap_or(id);
        answer.body = text.replace(ID, id).into();
    }
    answer
}

/// The length of a refusal's body once it has its id.
pub(super) fn rendered_length(answer: &Answer) -> u64 {
    (answer.body.len() + ID_LENGTH - ID.len()) as u64
}
