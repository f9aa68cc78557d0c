//! What a path names.

use percent_encoding::percent_decode_str;

/// A path, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Info,
    /// v1 auth; what follows `/auth/`.
    Auth(String),
    Account(String),
    Container(String, String),
    Object(String, String, String),
    /// Not UTF-8, or with a NUL in it.
    NotText,
    Unknown,
}

impl Route {
    pub fn of(path: &str) -> Route {
        let Some(path) = decode(path) else { return Route::NotText };
        match path.as_str() {
            "/healthcheck" => return Route::Health,
            "/info" => return Route::Info,
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/auth/") {
            return Route::Auth(rest.to_owned());
        }
        let Some(rest) = path.strip_prefix("/v1/").or_else(|| path.strip_prefix("/v1.0/")) else {
            return Route::Unknown;
        };
        let mut parts = rest.splitn(3, '/');
        let account = parts.next().unwrap_or_default().to_owned();
        let container = parts.next().unwrap_or_default().to_owned();
        let object = parts.next().unwrap_or_default().to_owned();
        match (account.is_empty(), container.is_empty(), object.is_empty()) {
            (true, ..) | (_, true, false) => Route::Unknown,
            (_, true, true) => Route::Account(account),
            (_, false, true) => Route::Container(account, container),
            (_, false, false) => Route::Object(account, container, object),
        }
    }
}

/// Percent-decodes text; none if it is not UTF-8 or contains NUL.
pub(super) fn decode(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expect: Route) {
        assert_eq!(Route::of(path), expect, "{path}");
    }

    #[test]
    fn a_path_names_account_container_and_object() {
        check("/v1/a", Route::Account("a".into()));
        check("/v1/a/", Route::Account("a".into()));
        check("/v1/a/c/", Route::Container("a".into(), "c".into()));
        check("/v1/a/c%20d/o/p%2Fq", Route::Object("a".into(), "c d".into(), "o/p/q".into()));
    }

    #[test]
    fn other_paths_are_told_apart() {
        check("/auth/v1.0", Route::Auth("v1.0".into()));
        check("/healthcheck", Route::Health);
        check("/v2/a", Route::Unknown);
        check("/v1/", Route::Unknown);
        check("/v1/a//o", Route::Unknown);
        check("/v1/a/%ff", Route::NotText);
        check("/v1/a/%00", Route::NotText);
    }
}
