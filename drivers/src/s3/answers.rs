//! S3's error documents: which failure a code stands for, where the status alone does not tell.

use serde::Deserialize;

use super::client::S3;
use crate::error::shown;
use crate::http::call::{named, refused};
use crate::http::{Failure, Response};
use crate::{Error, Kind};

/// What a refusal says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: String,
    #[serde(default)]
    message: String,
    /// The region that would be right.
    region: Option<String>,
}

fn document(response: &Response) -> Option<Document> {
    // Of HEAD there is none, and a proxy's page is no document of S3's.
    quick_xml::de::from_str(std::str::from_utf8(&response.body).ok()?).ok()
}

/// The code of a refusal.
pub(super) fn code(response: &Response) -> Option<String> {
    document(response).map(|document| document.code)
}

/// Codes by which a server asks for fewer requests, whatever the status.
const THROTTLING: [&str; 5] =
    ["SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"];
/// Someone else was at the same thing in the same moment.
const PASSING_CONFLICT: &str = "OperationAborted";

pub(super) fn is_throttling(response: &Response) -> bool {
    response.status == 429 || code(response).is_some_and(|code| THROTTLING.contains(&code.as_str()))
}

/// Whether a conflict is over the next time.
pub(super) fn is_passing_conflict(response: &Response) -> bool {
    response.status == 409 && code(response).as_deref() == Some(PASSING_CONFLICT)
}

/// The failure of `what` that an answer stands for. `region` is the one that requests are signed for.
pub(crate) fn failure(what: &str, region: &str, response: &Response) -> Failure {
    let by_status = refused(S3, "", response);
    let Some(document) = document(response) else {
        return named(what, by_status);
    };
    let status = response.status;
    let text = format!("{S3} answered {status}");
    let error = match document.code.as_str() {
        // Swift's s3api calls a quota that is used up an object that is too large; so does Swift itself, by 413.
        "QuotaExceeded" | "EntityTooLarge" => Error::new(Kind::Quota, text),
        PASSING_CONFLICT => Error::transient(Kind::Conflict, text),
        code if THROTTLING.contains(&code) => Error::transient(Kind::Unreachable, text),
        "InvalidObjectState" => Error::new(Kind::InvalidBackup, format!("{text}: the object is archived")),
        // Damaged on the way: the bytes here are still good.
        "BadDigest" | "XAmzContentSHA256Mismatch" => Error::transient(Kind::Integrity, text),
        "InvalidDigest" => Error::new(Kind::Integrity, text),
        // The server waited in vain for the rest of the request.
        "RequestTimeout" | "IncompleteBody" => Error::transient(Kind::Unreachable, text),
        "RequestTimeTooSkewed" => {
            Error::new(Kind::Auth, format!("{text}: the clocks of this host and of {S3} differ too much"))
        }
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "IllegalLocationConstraintException"
        | "InvalidLocationConstraint" => wrong_region(region, document.region.as_deref()),
        "InvalidBucketName" => Error::new(Kind::InvalidBackup, format!("{S3} takes no bucket of that name")),
        _ => by_status.error,
    };
    let said = format!("{}: {}", shown(&document.code), shown(&document.message));
    named(what, Failure { error: error.with_source(said), retry_after: by_status.retry_after, paced: false })
}

fn wrong_region(region: &str, right: Option<&str>) -> Error {
    let hint = right.map(|right| format!(", expected {}", shown(right))).unwrap_or_default();
    Error::new(Kind::InvalidConfig, format!("option backup_s3_region_name: {S3} has no bucket in {region}{hint}"))
}
