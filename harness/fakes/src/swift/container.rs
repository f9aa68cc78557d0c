//! Requests for a container.

use serde_json::json;

use super::listing::{Format, Params, json_page, plain_page, title};
use super::{SwiftFake, pages};
use crate::answer::Answer;
use crate::disk::{Container, Entry, take_meta};
use crate::server::Request;
use crate::stamp::Stamp;

const NAME_MAX: usize = 256;
const META: &str = "x-container-meta-";

impl SwiftFake {
    pub(super) fn container(&self, now: Stamp, request: &Request, account: &str, name: &str) -> Result<Answer, Answer> {
        match request.method.as_str() {
            "PUT" => self.container_put(now, request, account, name),
            "POST" => {
                check_quota(request)?;
                let mut disk = self.disk();
                let held = disk.container(account, name).ok_or_else(pages::not_found)?;
                take_meta(&mut held.meta, META, &request.headers);
                held.changed = now;
                Ok(pages::empty(204))
            }
            "DELETE" => {
                let mut disk = self.disk();
                let held = disk.container(account, name).ok_or_else(pages::not_found)?;
                if !held.objects.is_empty() {
                    return Err(pages::page(409));
                }
                disk.account(account, now).containers.remove(name);
                Ok(pages::empty(204))
            }
            _ => self.container_read(now, request, account, name),
        }
    }

    fn container_put(&self, now: Stamp, request: &Request, account: &str, name: &str) -> Result<Answer, Answer> {
        if name.len() > NAME_MAX {
            let text = format!("Container name length of {} longer than {NAME_MAX}", name.len());
            return Err(pages::swob_text(400, text));
        }
        let policy = match request.header("x-storage-policy") {
            None => None,
            Some(asked) => match self.config.policies.iter().find(|policy| policy.eq_ignore_ascii_case(asked)) {
                Some(policy) => Some(policy),
                None => return Err(pages::text(400, "text/plain", &format!("Invalid X-Storage-Policy '{asked}'"))),
            },
        };
        check_quota(request)?;
        let mut disk = self.disk();
        let containers = &mut disk.account(account, now).containers;
        if let Some(held) = containers.get_mut(name) {
            if policy.is_some_and(|policy| *policy != held.policy) {
                return Err(pages::page(409));
            }
            take_meta(&mut held.meta, META, &request.headers);
            held.changed = now;
            return Ok(pages::page(202));
        }
        let policy = policy.or(self.config.policies.first()).map_or("", String::as_str);
        let mut held = Container::new(now, policy);
        take_meta(&mut held.meta, META, &request.headers);
        containers.insert(name.to_owned(), held);
        Ok(pages::empty(201))
    }

    fn container_read(&self, now: Stamp, request: &Request, account: &str, name: &str) -> Result<Answer, Answer> {
        let params = Params::of(request, self.config.list_page)?;
        let mut disk = self.disk();
        let held = disk.container(account, name).ok_or_else(pages::not_found)?;
        let head = request.method == "HEAD";
        let entries = self.core.view(now, held, &request.target());
        if !head {
            self.core.bite_listed(held, |name| params.wants(name), &request.target());
        }
        let mut answer = Answer::new(if head { 204 } else { 200 }, params.format.content_type())
            .header("X-Container-Object-Count", entries.len())
            .header("X-Container-Bytes-Used", entries.values().map(|entry| entry.bytes).sum::<u64>())
            .header("X-Timestamp", held.created.text())
            .header("Last-Modified", held.changed.last_modified())
            .header("Accept-Ranges", "bytes")
            .header("X-Storage-Policy", &held.policy);
        for (name, value) in &held.meta {
            answer = answer.header(format!("X-Container-Meta-{}", title(name)), value);
        }
        let answer = params.vary(answer);
        if head {
            return Ok(answer);
        }
        let page = entries.iter().filter(|(name, _)| params.wants(name)).take(params.limit);
        Ok(match params.format {
            Format::Plain => plain_page(answer, page.map(|(name, _)| name)),
            Format::Json => json_page(answer, page.map(|(name, entry)| row(name, entry))),
        })
    }
}

fn row(name: &str, entry: &Entry) -> serde_json::Value {
    json!({
        "bytes": entry.bytes, "hash": entry.hash, "name": name,
        "content_type": entry.content_type, "last_modified": entry.written.iso(),
    })
}

fn check_quota(request: &Request) -> Result<(), Answer> {
    match request.header("x-container-meta-quota-bytes") {
        Some(quota) if !quota.is_empty() && quota.parse::<u64>().is_err() => {
            Err(pages::swob_text(400, "Invalid bytes quota."))
        }
        _ => Ok(()),
    }
}
