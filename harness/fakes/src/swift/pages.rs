//! The bodies of Swift's answers that carry no data.

use crate::answer::Answer;

const HTML: &str = "text/html; charset=UTF-8";

/// Reason and sentence of each status, as captured; the others have no sentence here.
const PAGES: &[(u16, &str, &str)] = &[
    (202, "Accepted", "The request is accepted for processing."),
    (
        400,
        "Bad Request",
        "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    ),
    (401, "Unauthorized", "This server could not verify that you are authorized to access the document you requested."),
    (403, "Forbidden", "Access was denied to this resource."),
    (404, "Not Found", "The resource could not be found."),
    (405, "Method Not Allowed", "The method is not allowed for this resource."),
    (408, "Request Timeout", ""),
    (409, "Conflict", "There was a conflict when trying to complete your request."),
    (412, "Precondition Failed", "A precondition for this request was not met."),
    (413, "Request Entity Too Large", ""),
    (416, "Requested Range Not Satisfiable", "The Range requested is not available."),
    (422, "Unprocessable Entity", "Unable to process the contained instructions"),
    (429, "Too Many Requests", ""),
    (498, "Rate Limited", ""),
    (499, "Client Disconnect", "The client was disconnected during request."),
    (500, "Internal Error", ""),
    (501, "Not Implemented", ""),
    (502, "Bad Gateway", ""),
    (503, "Service Unavailable", "The server is currently unavailable. Please try again at a later time."),
    (504, "Gateway Timeout", ""),
    (507, "Insufficient Storage", ""),
];

/// The words after a status; empty for one that Swift does not know.
fn reason(status: u16) -> &'static str {
    PAGES.iter().find(|page| page.0 == status).map_or("", |page| page.1)
}

fn with_reason(answer: Answer) -> Answer {
    match reason(answer.status) {
        "" => answer,
        reason => answer.reason(reason),
    }
}

/// Swift's page for a status.
pub(super) fn page(status: u16) -> Answer {
    let sentence = PAGES.iter().find(|page| page.0 == status).map_or("", |page| page.2);
    let body = match (reason(status), sentence) {
        ("", _) => String::new(),
        ("Request Entity Too Large", _) => "Upload exceeds quota.".to_owned(),
        (reason, "") => format!("<html><h1>{reason}</h1></html>"),
        (reason, sentence) => format!("<html><h1>{reason}</h1><p>{sentence}</p></html>"),
    };
    swob_text(status, body)
}

/// A success that says nothing more.
pub(super) fn empty(status: u16) -> Answer {
    typed(status, HTML)
}

/// An answer whose body is data of this type.
pub(super) fn typed(status: u16, content_type: &str) -> Answer {
    with_reason(Answer::new(status, content_type))
}

/// A text of its own, under the content type of a page.
pub(super) fn swob_text(status: u16, text: impl Into<String>) -> Answer {
    text_as(status, HTML, text)
}

/// A text of its own.
pub(super) fn text(status: u16, content_type: &str, text: &str) -> Answer {
    text_as(status, content_type, text)
}

fn text_as(status: u16, content_type: &str, text: impl Into<String>) -> Answer {
    with_reason(Answer::new(status, content_type)).body(text.into())
}

pub(super) fn not_found() -> Answer {
    page(404)
}

/// No quota, or no space, is left.
pub(super) fn quota() -> Answer {
    page(413)
}

/// Something that Swift can do and this fake does not.
pub(super) fn unsupported(what: &str) -> Answer {
    text_as(501, "text/plain", format!("this Swift does not serve {what}"))
}

pub(super) fn method_not_allowed() -> Answer {
    page(405).header("Allow", "DELETE, PUT, OPTIONS, POST, HEAD, GET")
}
