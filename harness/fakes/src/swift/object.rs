//! Requests for an object.

use std::collections::BTreeMap;

use super::listing::title;
use super::{SwiftFake, pages};
use crate::answer::Answer;
use crate::disk::{Object, take_meta};
use crate::range::{Wanted, parse_range};
use crate::server::Request;
use crate::stamp::Stamp;

const NAME_MAX: usize = 1024;
const META: &str = "x-object-meta-";
/// Headers by which an object is more than its bytes.
const UNSUPPORTED: [&str; 6] =
    ["x-copy-from", "x-object-manifest", "x-delete-at", "x-delete-after", "x-symlink-target", "content-encoding"];

impl SwiftFake {
    pub(super) fn object_request(
        &self,
        now: Stamp,
        request: &Request,
        account: &str,
        container: &str,
        name: &str,
    ) -> Result<Answer, Answer> {
        if let Some(query) = &request.query {
            return Err(pages::unsupported(&format!("objects with the query \"{query}\"")));
        }
        if let Some(header) = UNSUPPORTED.iter().find(|header| request.headers.contains_key(**header)) {
            return Err(pages::unsupported(&format!("objects with the header {header}")));
        }
        if request.method == "PUT" {
            return self.object_put(now, request, account, container, name);
        }
        let mut disk = self.disk();
        let held = disk.container(account, container).ok_or_else(pages::not_found)?;
        self.core.bite_touched(held, name, &request.method);
        match request.method.as_str() {
            "DELETE" if held.remove(name, now) => Ok(pages::empty(204)),
            "DELETE" => Err(pages::not_found()),
            "POST" => {
                let object = held.objects.get_mut(name).ok_or_else(pages::not_found)?;
                object.meta.clear();
                take_meta(&mut object.meta, META, &request.headers);
                Ok(pages::page(202))
            }
            _ => read(request, held.objects.get(name).ok_or_else(pages::not_found)?),
        }
    }

    fn object_put(
        &self,
        now: Stamp,
        request: &Request,
        account: &str,
        container: &str,
        name: &str,
    ) -> Result<Answer, Answer> {
        let mut disk = self.disk();
        let size = request.body.len() as u64;
        let account = disk.accounts.get_mut(account).ok_or_else(pages::not_found)?;
        let (account_bytes, account_quota) = (account.bytes(), quota(&account.meta));
        let held = account.containers.get_mut(container).ok_or_else(pages::not_found)?;
        if !request.headers.contains_key("content-length") && !request.chunked() {
            return Err(pages::text(411, "text/plain", "Missing Content-Length header."));
        }
        if size > self.config.object_bytes_max {
            return Err(pages::text(413, "text/plain", "Your request is too large."));
        }
        if name.len() > NAME_MAX {
            let text = format!("Object name length of {} longer than {NAME_MAX}", name.len());
            return Err(pages::swob_text(400, text));
        }
        if let Some(condition) = request.header("if-none-match") {
            if condition != "*" {
                return Err(pages::text(400, "text/plain", "If-None-Match only supports *"));
            }
            if held.objects.contains_key(name) {
                return Err(pages::page(412));
            }
        }
        if account_bytes + size > account_quota || held.bytes() + size > quota(&held.meta) {
            return Err(pages::quota());
        }
        let content_type = request.header("content-type").unwrap_or("application/octet-stream").to_owned();
        let mut object = Object::new(request.body.clone(), content_type, now);
        take_meta(&mut object.meta, META, &request.headers);
        let etag = object.etag.clone();
        if request.header("etag").is_some_and(|sent| unquoted(sent) != etag) {
            return Err(pages::page(422).header("Last-Modified", now.last_modified()));
        }
        if let Err(id) = self.core.faults.admit(size) {
            self.core.bite(id, &format!("no space for {container}/{name}"));
            return Err(pages::quota());
        }
        held.store(name, object);
        Ok(pages::empty(201).header("Etag", etag).header("Last-Modified", now.last_modified()))
    }
}

fn quota(meta: &BTreeMap<String, String>) -> u64 {
    meta.get("quota-bytes").and_then(|quota| quota.parse().ok()).unwrap_or(u64::MAX)
}

fn unquoted(etag: &str) -> String {
    etag.trim().trim_matches('"').to_ascii_lowercase()
}

/// GET and HEAD: the whole object, a range of it, or a failed condition.
fn read(request: &Request, object: &Object) -> Result<Answer, Answer> {
    let etag = object.etag.clone();
    let listed = |condition: &str| condition.split(',').any(|one| one.trim() == "*" || unquoted(one) == etag);
    if request.header("if-match").is_some_and(|condition| !listed(condition)) {
        let answer = pages::empty(412).header("Etag", &etag);
        return Err(answer
            .header("Last-Modified", object.written.last_modified())
            .header("X-Timestamp", object.written.text()));
    }
    let described = |status: u16| {
        let mut answer = pages::typed(status, &object.content_type)
            .header("Etag", &etag)
            .header("Last-Modified", object.written.last_modified())
            .header("X-Timestamp", object.written.text())
            .header("Accept-Ranges", "bytes");
        for (name, value) in &object.meta {
            answer = answer.header(format!("X-Object-Meta-{}", title(name)), value);
        }
        answer
    };
    if request.header("if-none-match").is_some_and(listed) {
        return Ok(described(304));
    }
    let len = object.data.len() as u64;
    let mut answer = match request.header("range").map(|range| parse_range(range, len)) {
        None | Some(Wanted::Whole) => described(200).body(object.data.clone()),
        Some(Wanted::Unsatisfiable) => {
            let answer = described(416).header("Content-Range", format!("bytes */{len}"));
            let page = pages::page(416).body;
            answer.body(page)
        }
        Some(Wanted::Part(first, last)) => described(206)
            .header("Content-Range", format!("bytes {first}-{last}/{len}"))
            .body(object.data.slice(first as usize..=last as usize)),
        Some(Wanted::Many) => return Err(pages::unsupported("more than one range")),
    };
    answer.head_length = answer.body.len() as u64;
    Ok(answer)
}
