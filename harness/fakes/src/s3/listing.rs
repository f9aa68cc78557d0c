//! ListObjectsV2: parameters, pages, continuation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use percent_encoding::utf8_percent_encode;

use super::S3Fake;
use super::auth::{PATH, UNRESERVED};
use super::bucket::{XMLNS, held};
use super::pages::{Refusal, declaration, element};
use super::route::query;
use crate::answer::Answer;
use crate::disk::Entry;
use crate::server::Request;
use crate::stamp::Stamp;

struct Params {
    prefix: String,
    /// Names up to here have been listed.
    after: String,
    token: Option<String>,
    max: usize,
    /// Whether names are to be percent-encoded, as XML cannot carry every one.
    encoded: bool,
}

impl S3Fake {
    pub(super) fn list(&self, now: Stamp, request: &Request, name: &str, owner: &str) -> Result<Answer, Refusal> {
        let params = self.params(request)?;
        let mut disk = self.disk();
        let held = held(&mut disk, name, owner)?;
        let wants = |name: &str| name.starts_with(&params.prefix) && name > params.after.as_str();
        let entries = self.core.view(now, held, &request.target());
        self.core.bite_listed(held, wants, &request.target());
        let mut left = entries.iter().filter(|(name, _)| wants(name));
        let page: Vec<(&String, &Entry)> = left.by_ref().take(params.max).collect();
        let last = page.last().map(|(name, _)| name.as_str()).filter(|_| left.next().is_some());
        let contents: String = page.iter().map(|(name, entry)| self.row(&self.shown(&params, name), entry)).collect();
        Ok(self.page(name, &params, page.len(), last, &contents))
    }

    fn page(&self, bucket: &str, params: &Params, count: usize, last: Option<&str>, contents: &str) -> Answer {
        let name = element("Name", bucket);
        let prefix = match params.prefix.as_str() {
            "" if !self.is_rgw() => "<Prefix/>".to_owned(),
            prefix if self.is_rgw() => element("Prefix", prefix),
            prefix => element("Prefix", &self.shown(params, prefix)),
        };
        let encoding = if params.encoded { element("EncodingType", "url") } else { String::new() };
        let next = last.map(|last| element("NextContinuationToken", &self.token(last))).unwrap_or_default();
        let this = params.token.as_deref().map(|token| element("ContinuationToken", token)).unwrap_or_default();
        let (max, count) = (element("MaxKeys", &params.max.to_string()), element("KeyCount", &count.to_string()));
        let truncated = element("IsTruncated", &last.is_some().to_string());
        let inner = if self.is_rgw() {
            format!("{encoding}{name}{prefix}{max}{truncated}{contents}{next}{this}{count}")
        } else {
            format!("{name}{prefix}{next}{this}{count}{max}{encoding}{truncated}{contents}")
        };
        let body = format!("{}<ListBucketResult {XMLNS}>{inner}</ListBucketResult>", declaration(self.config.flavour));
        Answer::new(200, "application/xml").body(body)
    }

    fn row(&self, name: &str, entry: &Entry) -> String {
        let quote = if self.is_rgw() { "&quot;" } else { "\"" };
        let etag = format!("<ETag>{quote}{}{quote}</ETag>", entry.hash);
        let (key, date) = (element("Key", name), element("LastModified", &self.listed_date(entry.written)));
        let size = element("Size", &entry.bytes.to_string());
        let kind = if self.is_rgw() { "<Type>Normal</Type>" } else { "" };
        format!("<Contents>{key}{date}{etag}{size}<StorageClass>STANDARD</StorageClass>{kind}</Contents>")
    }

    /// A name as the request wants it. Encoded, s3api keeps its slashes, and RGW leaves the prefix as it is.
    fn shown(&self, params: &Params, name: &str) -> String {
        match (params.encoded, self.is_rgw()) {
            (false, _) => name.to_owned(),
            (true, true) => utf8_percent_encode(name, &UNRESERVED).to_string(),
            (true, false) => utf8_percent_encode(name, &PATH).to_string(),
        }
    }

    /// The token of the page after `last`. Clients must not look inside; s3api's hides what it is.
    fn token(&self, last: &str) -> String {
        if self.is_rgw() { last.to_owned() } else { STANDARD.encode(last) }
    }

    /// Parameters that S3 knows and this fake does not are answered 501, those that nobody knows 400.
    fn params(&self, request: &Request) -> Result<Params, Refusal> {
        let (prefix, after, max) = (String::new(), String::new(), self.config.list_page);
        let mut params = Params { prefix, after, token: None, max, encoded: false };
        let mut version = String::new();
        let invalid = |what: String| Refusal::new(400, "InvalidArgument").saying(what);
        let pairs = query(request.query.as_deref()).ok_or_else(|| Refusal::new(400, "InvalidURI"))?;
        for (key, value) in pairs {
            match key.as_str() {
                "list-type" => version = value,
                "prefix" => params.prefix = value,
                "start-after" => params.after = params.after.max(value),
                "continuation-token" => {
                    params.after = self.untoken(&value).ok_or_else(|| invalid("Invalid continuation token".into()))?;
                    params.token = Some(value);
                }
                "max-keys" => {
                    let max: usize = value.parse().map_err(|_| invalid(format!("max-keys \"{value}\"")))?;
                    params.max = max.min(self.config.list_page);
                }
                "encoding-type" if value == "url" => params.encoded = true,
                "encoding-type" => {
                    let refusal = invalid("Invalid Encoding Method specified in Request".into());
                    return Err(refusal.also("ArgumentName", "encoding-type").also("ArgumentValue", value));
                }
                "delimiter" | "fetch-owner" | "marker" | "location" | "uploads" | "versions" | "acl" => {
                    return Err(Refusal::unsupported(&format!("buckets with {key}")));
                }
                _ => return Err(invalid(format!("unknown parameter \"{key}\""))),
            }
        }
        if version == "2" { Ok(params) } else { Err(Refusal::unsupported("listings of version 1")) }
    }

    fn untoken(&self, token: &str) -> Option<String> {
        if self.is_rgw() {
            return Some(token.to_owned());
        }
        String::from_utf8(STANDARD.decode(token).ok()?).ok()
    }
}
