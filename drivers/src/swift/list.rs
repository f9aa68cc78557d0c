//! Listing a container by prefix, page after page.

use serde::Deserialize;

use super::client::{Call, Client, SWIFT, container_path, encoded};
use crate::context::RequestContext;
use crate::http::{Method, Response};
use crate::{Error, Kind, Result};

#[derive(Deserialize)]
struct Entry {
    name: String,
}

/// All names that begin with `prefix`, sorted. The server sets the size of a page; an empty page is the end.
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
        let call = Call::new(Method::GET, what.as_str(), path);
        let page = page(&what, &client.send(context, client.data_effort(), call).await?)?;
        if page.is_empty() {
            return Ok(names);
        }
        for name in page {
            // A delete removes what is listed: a name of something else must never get in.
            if !name.starts_with(prefix) {
                return Err(senseless(&what, "listed a name without the prefix"));
            }
            // Also what keeps a server that ignores the marker from being asked for ever.
            if names.last().is_some_and(|last| *last >= name) {
                return Err(senseless(&what, "listed names out of order"));
            }
            names.push(name);
        }
    }
}

fn page(what: &str, response: &Response) -> Result<Vec<String>> {
    if response.status == 204 {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> = serde_json::from_slice(&response.body)
        .map_err(|error| senseless(what, "answered a list that is not JSON").with_source(error))?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

fn senseless(what: &str, happened: &str) -> Error {
    Error::new(Kind::Internal, format!("{what}: {SWIFT} {happened}"))
}
