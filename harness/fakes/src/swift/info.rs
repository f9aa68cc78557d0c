//! `/info` and `/healthcheck`: what the server says without a token.

use serde_json::json;

use super::{SwiftConfig, pages};
use crate::answer::{Answer, python_json};

pub(super) fn healthcheck(method: &str) -> Answer {
    match method {
        "GET" | "HEAD" => pages::text(200, "text/plain", "OK"),
        _ => pages::method_not_allowed(),
    }
}

/// The discovery document. Middlewares that this fake does not have are not in it.
pub(super) fn info(method: &str, config: &SwiftConfig) -> Answer {
    if !matches!(method, "GET" | "HEAD") {
        return pages::method_not_allowed();
    }
    let policies: Vec<_> = config
        .policies
        .iter()
        .enumerate()
        .map(|(index, name)| match index {
            0 => json!({"name": name, "aliases": name, "default": true}),
            _ => json!({"name": name, "aliases": name}),
        })
        .collect();
    let mut document = json!({
        "swift": {
            "version": "2.38.3", "strict_cors_mode": true, "policies": policies,
            "allow_account_management": true, "account_autocreate": true, "allow_open_expired": false,
            "max_file_size": config.object_bytes_max,
            "max_meta_name_length": 128, "max_meta_value_length": 256, "max_meta_count": 90,
            "max_meta_overall_size": 4096, "max_header_size": 8192, "max_request_line": 8192,
            "max_object_name_length": 1024,
            "container_listing_limit": config.list_page, "account_listing_limit": config.list_page,
            "max_account_name_length": 256, "max_container_name_length": 256, "extra_header_count": 0,
        },
        "account_quotas": {},
        "container_quotas": {},
    });
    if config.keystone_uri.is_none() {
        document["tempauth"] = json!({"account_acls": true});
    }
    let answer = Answer::new(200, "application/json; charset=UTF-8");
    answer.body(python_json(&document))
}
