//! The bodies of Keystone's refusals.

use crate::answer::Answer;

/// Keystone ends each 400 with this.
const MALFORMED: &str = "The server could not comply with the request since it is either malformed or otherwise \
                         incorrect. The client is assumed to be in error.";

/// Status, title, and the words after the status.
const TITLES: &[(u16, &str, &str)] = &[
    (400, "Bad Request", "BAD REQUEST"),
    (401, "Unauthorized", "UNAUTHORIZED"),
    (403, "Forbidden", "FORBIDDEN"),
    (404, "Not Found", "NOT FOUND"),
    (405, "Method Not Allowed", "METHOD NOT ALLOWED"),
    (413, "Request Entity Too Large", "REQUEST ENTITY TOO LARGE"),
    (429, "Too Many Requests", "TOO MANY REQUESTS"),
    (500, "Internal Server Error", "INTERNAL SERVER ERROR"),
    (502, "Bad Gateway", "BAD GATEWAY"),
    (503, "Service Unavailable", "SERVICE UNAVAILABLE"),
    (504, "Gateway Timeout", "GATEWAY TIMEOUT"),
];

/// An error document: compact JSON with a line end, unlike Keystone's other documents.
fn error(status: u16, message: &str) -> Answer {
    let known = TITLES.iter().find(|row| row.0 == status);
    let title = known.map_or("", |row| row.1);
    let body = serde_json::json!({"error": {"code": status, "message": message, "title": title}});
    let answer = Answer::new(status, "application/json").body(format!("{body}\n"));
    match known {
        Some(row) => answer.reason(row.2),
        None => answer,
    }
}

/// The answer with a status that has no cause in the request.
pub(super) fn of_status(status: u16) -> Answer {
    match status {
        400 => error(400, MALFORMED),
        403 => forbidden("identity:create_token"),
        404 => no_such_url(),
        _ => error(status, ""),
    }
}

pub(super) fn expected(what: &str, place: &str) -> Answer {
    error(400, &format!("Expecting to find {what} in {place}. {MALFORMED}"))
}

pub(super) fn unauthorized() -> Answer {
    error(401, "The request you have made requires authentication.")
}

pub(super) fn forbidden(action: &str) -> Answer {
    error(403, &format!("You are not authorized to perform the requested action: {action}."))
}

pub(super) fn no_such_token() -> Answer {
    error(404, "Failed to validate token")
}

pub(super) fn no_such_url() -> Answer {
    error(404, "The requested URL was not found on the server.")
}

pub(super) fn method_not_allowed() -> Answer {
    error(405, "The method is not allowed for the requested URL.")
}
