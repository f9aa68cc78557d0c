//! Listing a container by prefix, page after page.

use serde::Deserialize;

use super::client::{Client, SWIFT};
use crate::context::RequestContext;
use crate::http::call::{Call, Effort, container_path, encoded};
use crate::http::objects::{add_page, senseless};
use crate::http::{Method, Response};
use crate::{Error, Kind, Result};

#[derive(Deserialize)]
struct Entry {
    name: String,
}

/// All names that begin with `prefix`, sorted. The server sets the size of a page; an empty page is the end.
///
/// A container that is not there has no names: a create may have ended before it made the container.
pub(super) async fn list(
    client: &Client,
    context: &RequestContext,
    container: &str,
    prefix: &str,
) -> Result<Vec<String>> {
    let what = format!("list of {prefix}");
    let mut names: Vec<String> = Vec::new();
    loop {
        let mut path = format!("{}?format=json&prefix={}", container_path(container), encoded(prefix));
        if let Some(last) = names.last() {
            path.push_str("&marker=");
            path.push_str(&encoded(last));
        }
        let call = Call::new(Method::GET, what.as_str(), path).or_status(404);
        let response = client.send(context, Effort::Full, call).await?;
        if response.status == 404 {
            return missing(client, context, container, &what, names).await;
        }
        let page = page(&what, &response)?;
        if page.is_empty() {
            return Ok(names);
        }
        add_page(SWIFT, &what, prefix, &mut names, page)?;
    }
}

/// What a 404 means: nothing listed, if the account is there and its container is not; else an error.
///
/// One 404 is no proof, since a delete takes an empty listing for its success: whoever answers 404 to everything is no
/// Swift that knows the account.
async fn missing(
    client: &Client,
    context: &RequestContext,
    container: &str,
    what: &str,
    listed: Vec<String>,
) -> Result<Vec<String>> {
    let head = |what: String, path: String| Call::new(Method::HEAD, what, path);
    let account = head("head of the account".to_owned(), String::new());
    client.send(context, Effort::Full, account).await?;
    let held = head(format!("head of container {container}"), container_path(container)).or_status(404);
    let held = client.send(context, Effort::Full, held).await?;
    if held.is_success() || !listed.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("{what}: {SWIFT} answered 404")));
    }
    Ok(listed)
}

/// The names of one page.
pub(crate) fn names(prefix: &str, response: &Response) -> Result<Vec<String>> {
    let what = format!("list of {prefix}");
    let mut names = Vec::new();
    add_page(SWIFT, &what, prefix, &mut names, page(&what, response)?)?;
    Ok(names)
}

fn page(what: &str, response: &Response) -> Result<Vec<String>> {
    if response.status == 204 {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> = serde_json::from_slice(&response.body)
        .map_err(|error| senseless(SWIFT, what, "answered a list that is not JSON").with_source(error))?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}
