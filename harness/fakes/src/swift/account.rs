//! Requests for an account.

use serde_json::json;

use super::listing::{Format, Params, json_page, plain_page, title};
use super::{SwiftFake, pages};
use crate::answer::Answer;
use crate::disk::{Account, take_meta};
use crate::server::Request;
use crate::stamp::Stamp;

impl SwiftFake {
    pub(super) fn account(&self, now: Stamp, request: &Request, name: &str) -> Result<Answer, Answer> {
        match request.method.as_str() {
            "POST" => {
                let mut disk = self.disk();
                take_meta(&mut disk.account(name, now).meta, "x-account-meta-", &request.headers);
                Ok(pages::empty(204))
            }
            "GET" | "HEAD" => self.account_read(now, request, name),
            _ => Err(pages::unsupported("the creation and removal of accounts")),
        }
    }

    fn account_read(&self, now: Stamp, request: &Request, name: &str) -> Result<Answer, Answer> {
        let params = Params::of(request, self.config.list_page)?;
        let disk = self.disk();
        let head = request.method == "HEAD";
        let Some(account) = disk.accounts.get(name) else {
            // An account that was never used is answered for by the proxy itself.
            let none = Account::new(now);
            let answer = self.totals(Answer::new(200, params.format.content_type()), &none);
            let answer = params.vary(answer.header("X-Put-Timestamp", now.text()));
            return Ok(match params.format {
                _ if head => answer,
                Format::Plain => plain_page(answer, []),
                Format::Json => json_page(answer, std::iter::empty()),
            });
        };
        let status = if head { 204 } else { 200 };
        let answer = Answer::new(status, params.format.content_type());
        let answer = self.policies(self.totals(answer, account), account).header("Accept-Ranges", "bytes");
        let answer = params.vary(answer);
        if head {
            return Ok(answer);
        }
        let names: Vec<&String> =
            account.containers.keys().filter(|name| params.wants(name)).take(params.limit).collect();
        Ok(match params.format {
            Format::Plain => plain_page(answer, names),
            Format::Json => {
                let rows = names.into_iter().map(|name| {
                    let held = &account.containers[name];
                    json!({
                        "name": name, "count": held.objects.len(), "bytes": held.bytes(),
                        "last_modified": held.changed.iso(), "storage_policy": held.policy,
                    })
                });
                json_page(answer, rows)
            }
        })
    }

    fn totals(&self, answer: Answer, account: &Account) -> Answer {
        let objects: usize = account.containers.values().map(|held| held.objects.len()).sum();
        let mut answer = answer
            .header("X-Account-Container-Count", account.containers.len())
            .header("X-Account-Object-Count", objects)
            .header("X-Account-Bytes-Used", account.bytes())
            .header("X-Timestamp", account.created.text());
        for (name, value) in &account.meta {
            answer = answer.header(format!("X-Account-Meta-{}", title(name)), value);
        }
        if self.config.keystone_uri.is_some() && !account.containers.is_empty() {
            answer = answer.header("X-Account-Project-Domain-Id", "default");
        }
        answer
    }

    fn policies(&self, mut answer: Answer, account: &Account) -> Answer {
        for policy in &self.config.policies {
            let held: Vec<_> = account.containers.values().filter(|held| held.policy == *policy).collect();
            if held.is_empty() {
                continue;
            }
            let prefix = format!("X-Account-Storage-Policy-{}", title(policy));
            answer = answer
                .header(format!("{prefix}-Container-Count"), held.len())
                .header(format!("{prefix}-Object-Count"), held.iter().map(|held| held.objects.len()).sum::<usize>())
                .header(format!("{prefix}-Bytes-Used"), held.iter().map(|held| held.bytes()).sum::<u64>());
        }
        answer
    }
}
