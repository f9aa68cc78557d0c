//! Requests for the service and for a bucket.

use super::pages::{Refusal, declaration, element};
use super::route::query;
use super::{ALL, S3Fake};
use crate::answer::Answer;
use crate::disk::{Container, Disk};
use crate::server::Request;
use crate::stamp::Stamp;

/// The key of a bucket's own metadata under which its owner stands.
const OWNER: &str = "owner";
pub(super) const XMLNS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

impl S3Fake {
    /// The list of buckets.
    pub(super) fn service(&self, request: &Request, owner: &str) -> Result<Answer, Refusal> {
        if request.method != "GET" || request.query.is_some() {
            return Err(Refusal::new(405, "MethodNotAllowed")
                .also("Method", request.method.as_str())
                .also("ResourceType", "SERVICE"));
        }
        self.check_body(request)?;
        let disk = self.disk();
        let held = disk.accounts.get(ALL).into_iter().flat_map(|all| &all.containers);
        let mine = held.filter(|(_, held)| held.meta.get(OWNER).is_some_and(|of| of == owner));
        let buckets: String = mine
            .map(|(name, held)| {
                let created = element("CreationDate", &self.listed_date(held.created));
                format!("<Bucket>{}{created}</Bucket>", element("Name", name))
            })
            .collect();
        let buckets = match buckets.as_str() {
            "" if !self.is_rgw() => "<Buckets/>".to_owned(),
            _ => format!("<Buckets>{buckets}</Buckets>"),
        };
        let who = format!("<Owner>{}{}</Owner>", element("ID", owner), element("DisplayName", owner));
        let root = "ListAllMyBucketsResult";
        let body = format!("{}<{root} {XMLNS}>{who}{buckets}</{root}>", declaration(self.config.flavour));
        Ok(Answer::new(200, "application/xml").body(body))
    }

    pub(super) fn bucket(&self, now: Stamp, request: &Request, name: &str, owner: &str) -> Result<Answer, Refusal> {
        check_name(name)?;
        self.check_body(request)?;
        match request.method.as_str() {
            "GET" => self.list(now, request, name, owner),
            "POST" => Err(Refusal::unsupported("POST of a bucket")),
            _ if request.query.is_some() => {
                let asked = query(request.query.as_deref()).unwrap_or_default();
                let names: Vec<String> = asked.into_iter().map(|(name, _)| name).collect();
                Err(Refusal::unsupported(&format!("buckets with {}", names.join(", "))))
            }
            "HEAD" => self.bucket_head(name, owner),
            "PUT" => self.bucket_put(now, request, name, owner),
            _ => {
                let mut disk = self.disk();
                if !held(&mut disk, name, owner)?.objects.is_empty() {
                    return Err(Refusal::new(409, "BucketNotEmpty"));
                }
                disk.account(ALL, now).containers.remove(name);
                Ok(self.done(204))
            }
        }
    }

    fn bucket_head(&self, name: &str, owner: &str) -> Result<Answer, Refusal> {
        let mut disk = self.disk();
        let held = held(&mut disk, name, owner)?;
        if self.is_rgw() {
            let answer = Answer::bare(200)
                .header("X-RGW-Object-Count", held.objects.len())
                .header("X-RGW-Bytes-Used", held.bytes())
                .header("X-RGW-Quota-Max-Buckets", 1000);
            let unlimited = ["User-Size", "User-Objects", "Bucket-Size", "Bucket-Objects"];
            return Ok(unlimited.iter().fold(answer, |answer, of| answer.header(format!("X-RGW-Quota-{of}"), -1)));
        }
        Ok(Answer::new(200, "text/plain; charset=utf-8")
            .header("Last-Modified", held.created.last_modified())
            .header("Accept-Ranges", "bytes"))
    }

    fn bucket_put(&self, now: Stamp, request: &Request, name: &str, owner: &str) -> Result<Answer, Refusal> {
        if !request.body.is_empty() {
            let document = String::from_utf8_lossy(&request.body);
            let asked = document.split_once("<LocationConstraint>").and_then(|(_, rest)| rest.split_once("</"));
            let (asked, _) = asked.ok_or_else(|| Refusal::new(400, "MalformedXML"))?;
            if asked != self.config.region {
                return Err(Refusal::new(400, "InvalidLocationConstraint").also("LocationConstraint", asked));
            }
        }
        let mut disk = self.disk();
        let buckets = &mut disk.account(ALL, now).containers;
        match buckets.get(name).and_then(|held| held.meta.get(OWNER)) {
            Some(of) if of != owner => Err(Refusal::new(409, "BucketAlreadyExists").also("BucketName", name)),
            Some(_) if self.is_rgw() => Ok(self.done(200)),
            Some(_) => Err(Refusal::new(409, "BucketAlreadyOwnedByYou").also("BucketName", name)),
            None => {
                let mut held = Container::new(now, "");
                held.meta.insert(OWNER.to_owned(), owner.to_owned());
                buckets.insert(name.to_owned(), held);
                let answer = self.done(200);
                Ok(if self.is_rgw() { answer } else { answer.header("Location", format!("/{name}")) })
            }
        }
    }

    /// A moment as listings give it.
    pub(super) fn listed_date(&self, stamp: Stamp) -> String {
        if self.is_rgw() { stamp.iso_ms() } else { stamp.iso_whole() }
    }
}

/// A bucket that is there and the caller's.
pub(super) fn held<'a>(disk: &'a mut Disk, name: &str, owner: &str) -> Result<&'a mut Container, Refusal> {
    let held = disk.container(ALL, name).ok_or_else(|| Refusal::new(404, "NoSuchBucket").also("BucketName", name))?;
    if held.meta.get(OWNER).is_some_and(|of| of == owner) { Ok(held) } else { Err(Refusal::new(403, "AccessDenied")) }
}

/// AWS's rules for names.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let sound = (3..=63).contains(&bytes.len())
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
        && !name.contains("..");
    if sound { Ok(()) } else { Err(Refusal::new(400, "InvalidBucketName").also("BucketName", name)) }
}
