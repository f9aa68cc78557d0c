//! Requests for an object.

use super::S3Fake;
use super::bucket::{check_name, held};
use super::encryption::{check_key, described, encrypt};
use super::pages::Refusal;
use crate::answer::Answer;
use crate::disk::Object;
use crate::range::{Wanted, parse_range};
use crate::server::Request;
use crate::stamp::{Stamp, http_date};

const NAME_MAX: usize = 1024;
/// Amazon's headers that mean something here.
const KNOWN: [&str; 8] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-checksum-crc32",
    // Asks for the checksum that came with the object. Servers that keep none, as these two, answer without.
    "x-amz-checksum-mode",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];
/// Other headers by which a request is more than it seems.
const UNSUPPORTED: [&str; 5] =
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "content-encoding"];

impl S3Fake {
    pub(super) fn object_request(
        &self,
        now: Stamp,
        request: &Request,
        bucket: &str,
        key: &str,
        owner: &str,
    ) -> Result<Answer, Refusal> {
        check_name(bucket)?;
        if let Some(query) = &request.query {
            return Err(Refusal::unsupported(&format!("objects with the query \"{query}\"")));
        }
        let names = request.headers.keys().map(hyper::header::HeaderName::as_str);
        let mut foreign =
            names.filter(|name| UNSUPPORTED.contains(name) || (name.starts_with("x-amz-") && !KNOWN.contains(name)));
        if let Some(name) = foreign.next() {
            return Err(Refusal::unsupported(&format!("objects with the header {name}")));
        }
        if request.method == "PUT" {
            return self.object_put(now, request, bucket, key, owner);
        }
        self.check_body(request)?;
        let mut disk = self.disk();
        let held = held(&mut disk, bucket, owner)?;
        self.core.bite_touched(held, key, &request.method);
        match request.method.as_str() {
            // What is not there is removed.
            "DELETE" => {
                held.remove(key, now);
                Ok(self.done(204))
            }
            "POST" => Err(Refusal::unsupported("POST of an object")),
            _ => {
                let object = held.objects.get(key).ok_or_else(|| Refusal::new(404, "NoSuchKey").also("Key", key))?;
                check_key(request, object)?;
                self.read(request, object)
            }
        }
    }

    fn object_put(
        &self,
        now: Stamp,
        request: &Request,
        bucket: &str,
        key: &str,
        owner: &str,
    ) -> Result<Answer, Refusal> {
        let mut disk = self.disk();
        let held = held(&mut disk, bucket, owner)?;
        if !request.headers.contains_key("content-length") {
            return Err(Refusal::new(411, "MissingContentLength"));
        }
        if key.len() > NAME_MAX {
            return Err(Refusal::new(400, "KeyTooLongError"));
        }
        self.check_body(request)?;
        let content_type = request.header("content-type").unwrap_or("binary/octet-stream").to_owned();
        let mut object = Object::new(request.body.clone(), content_type, now);
        encrypt(request, &mut object)?;
        let size = request.body.len() as u64;
        if let Err(id) = self.core.faults.admit(size) {
            self.core.bite(id, &format!("no space for {bucket}/{key}"));
            // Swift's quotas answer 413, in which s3api sees an object that is too large.
            let full = if self.is_rgw() { (403, "QuotaExceeded") } else { (400, "EntityTooLarge") };
            return Err(Refusal::new(full.0, full.1));
        }
        let answer = self.done(200).header("ETag", format!("\"{}\"", object.etag));
        let answer = described(answer, &object.meta);
        held.store(key, object);
        Ok(if self.is_rgw() {
            answer.header("Accept-Ranges", "bytes")
        } else {
            answer.header("Last-Modified", now.last_modified())
        })
    }

    /// GET and HEAD: the whole object, or a range of it.
    fn read(&self, request: &Request, object: &Object) -> Result<Answer, Refusal> {
        let len = object.data.len() as u64;
        let describe = |status: u16| {
            let answer = Answer::new(status, &object.content_type)
                .header("ETag", format!("\"{}\"", object.etag))
                .header("Accept-Ranges", "bytes");
            let answer = described(answer, &object.meta);
            if self.is_rgw() {
                let written = http_date(object.written.whole_second());
                return answer.header("Last-Modified", written).header("x-rgw-object-type", "Normal");
            }
            answer.header("Last-Modified", object.written.last_modified())
        };
        let mut answer = match request.header("range").map(|range| parse_range(range, len)) {
            None | Some(Wanted::Whole) => describe(200).body(object.data.clone()),
            Some(Wanted::Unsatisfiable) => return Err(Refusal::new(416, "InvalidRange")),
            Some(Wanted::Part(first, last)) => describe(206)
                .header("Content-Range", format!("bytes {first}-{last}/{len}"))
                .body(object.data.slice(first as usize..=last as usize)),
            Some(Wanted::Many) => return Err(Refusal::unsupported("more than one range")),
        };
        answer.head_length = answer.body.len() as u64;
        Ok(answer)
    }
}
