//! Listing a bucket by prefix, page after page (ListObjectsV2).

use serde::Deserialize;

use super::answers::code;
use super::client::{Client, S3};
use crate::http::call::{Call, Effort, container_path, encoded};
use crate::http::objects::{add_page, senseless};
use crate::http::{Method, Response};
use crate::{Error, Kind, Result};

/// Pages in a row without a name: a server may look through many names that are deleted before it finds one.
const EMPTY_MAX: u32 = 1000;

/// A page. What every server sends is required, so that no other document passes for an empty page.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    name: String,
    is_truncated: bool,
    next_continuation_token: Option<String>,
    /// Not there when nothing is listed: an empty listing is an empty listing.
    #[serde(default)]
    contents: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
}

/// All names that begin with `prefix`, sorted. The server sets the size of a page and says when there is another.
///
/// A bucket that is not there has no names: a create may have ended before it made the bucket.
pub(super) async fn list(client: &Client, bucket: &str, prefix: &str) -> Result<Vec<String>> {
    let what = format!("list of {prefix}");
    let mut names: Vec<String> = Vec::new();
    let mut token: Option<String> = None;
    let mut empty = 0;
    loop {
        let mut path = format!("{}?list-type=2&prefix={}", container_path(bucket), encoded(prefix));
        if let Some(token) = &token {
            path.push_str("&continuation-token=");
            path.push_str(&encoded(token));
        }
        let call = Call::new(Method::GET, what.as_str(), path).or_status(404);
        let response = client.send(Effort::Full, call).await?;
        if response.status == 404 {
            return missing(client, bucket, &what, &response, names).await;
        }
        let page = page(&what, &response)?;
        if page.name != bucket {
            return Err(senseless(S3, &what, "listed another bucket"));
        }
        empty = if page.contents.is_empty() { empty + 1 } else { 0 };
        if empty > EMPTY_MAX {
            return Err(senseless(S3, &what, "goes on without listing anything"));
        }
        add_page(S3, &what, prefix, &mut names, page.contents.into_iter().map(|entry| entry.key))?;
        if !page.is_truncated {
            return Ok(names);
        }
        match page.next_continuation_token {
            Some(next) if token.as_ref() != Some(&next) => token = Some(next),
            Some(_) => return Err(senseless(S3, &what, "gave the same continuation token again")),
            None => return Err(senseless(S3, &what, "listed a part and no way to the rest")),
        }
    }
}

/// What a 404 means: nothing listed, if the server knows the key and the bucket is not there; else an error.
///
/// One 404 is no proof, since a delete takes an empty listing for its success: whoever answers 404 to everything is no
/// S3. A key that may not list its buckets is known all the same.
async fn missing(
    client: &Client,
    bucket: &str,
    what: &str,
    answer: &Response,
    listed: Vec<String>,
) -> Result<Vec<String>> {
    // As S3 has no HEAD of an account, this asks for its list of buckets.
    let account = Call::new(Method::GET, "head of the account", "/".to_owned()).or_status(403);
    client.send(Effort::Full, account).await?;
    let head = Call::new(Method::HEAD, format!("head of container {bucket}"), container_path(bucket)).or_status(404);
    let there = client.send(Effort::Full, head).await?.is_success();
    if there || !listed.is_empty() || code(answer).as_deref() != Some("NoSuchBucket") {
        return Err(Error::new(Kind::NotFound, format!("{what}: {S3} answered 404")));
    }
    Ok(listed)
}

/// The names of one page.
pub(crate) fn names(prefix: &str, response: &Response) -> Result<Vec<String>> {
    let what = format!("list of {prefix}");
    let mut names = Vec::new();
    let page = page(&what, response)?;
    add_page(S3, &what, prefix, &mut names, page.contents.into_iter().map(|entry| entry.key))?;
    Ok(names)
}

fn page(what: &str, response: &Response) -> Result<Page> {
    let text = std::str::from_utf8(&response.body).unwrap_or_default();
    quick_xml::de::from_str(text)
        .map_err(|error| senseless(S3, what, "answered a list that is not XML of S3's").with_source(error))
}
