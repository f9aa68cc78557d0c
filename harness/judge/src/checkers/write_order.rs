//! Write order: the metadata object is the last one of its backup, because its presence marks the backup as complete.
//!
//! Seen on the wire, so it speaks of stores that are reached by HTTP; a disk's order is not recorded.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::tally::Tally;

pub const CHECKER: Checker = Checker {
    name: "write_order",
    about: "no object of a backup is written after its metadata object",
    source: "D7; reference format: metadata last; profile B-CHK-007",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    // Prefixes whose metadata object is there, with its moment.
    let mut complete: BTreeMap<String, u64> = BTreeMap::new();
    for record in &history.records {
        let Entry::Request { method, path, status: 200..=299, .. } = &record.entry else { continue };
        let Some((prefix, part)) = parts(path) else { continue };
        match (method.as_str(), part) {
            ("PUT", Part::Metadata) => {
                tally.applies();
                complete.insert(prefix, record.t_ns);
            }
            ("PUT", Part::Other) if complete.contains_key(&prefix) => tally.broken(
                record.t_ns,
                "the metadata object is the last one written of a backup [D7]",
                "no other object after it",
                format!("PUT {path}"),
            ),
            ("DELETE", Part::Metadata) => {
                complete.remove(&prefix);
            }
            _ => {}
        }
    }
    tally.finish()
}

enum Part {
    Metadata,
    /// A data object or the sha256file.
    Other,
}

/// The prefix of a backup's object and which object it is; `None` for any other path.
fn parts(path: &str) -> Option<(String, Part)> {
    let path = path.split('?').next()?;
    if let Some(prefix) = path.strip_suffix("_metadata") {
        return Some((prefix.to_owned(), Part::Metadata));
    }
    if let Some(prefix) = path.strip_suffix("_sha256file") {
        return Some((prefix.to_owned(), Part::Other));
    }
    let (prefix, number) = path.rsplit_once('-')?;
    let is_data = number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_data.then(|| (prefix.to_owned(), Part::Other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Script, script};

    fn wrote(script: Script, method: &str, object: &str) -> Script {
        let entry = Entry::Request {
            method: method.to_owned(),
            path: format!("/v1/AUTH_test/vb/volume_1/20260101000000/az_nova_backup_2{object}"),
            status: 201,
            request_bytes: 1,
            response_bytes: 0,
        };
        script.record("swift", entry)
    }

    fn check_order(case: &str, writes: &[(&str, &str)], expected: &str) {
        let script = writes.iter().fold(script(), |script, (method, object)| wrote(script, method, object));
        testing::check(case, &check(&script.history), expected);
    }

    #[test]
    fn metadata_is_written_last() {
        let put = |object| ("PUT", object);
        check_order("in order", &[put("-00001"), put("_sha256file"), put("_metadata")], "ok");
        check_order("repeated", &[put("-00001"), put("_metadata"), put("_metadata")], "ok");
        check_order("too early", &[put("_metadata"), put("-00001")], "no other object after it");
        check_order("then the hashes", &[put("_metadata"), put("_sha256file")], "no other object after it");
        check_order("another try", &[put("_metadata"), ("DELETE", "_metadata"), put("-00001"), put("_metadata")], "ok");
        check_order("no metadata", &[put("-00001")], "none");
    }
}
