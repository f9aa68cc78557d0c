//! What a path names, in path style: `/bucket/key`.

use percent_encoding::percent_decode_str;

/// A path, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Service,
    Bucket(String),
    Object(String, String),
    /// Not UTF-8, or with a NUL in it.
    NotText,
}

impl Route {
    pub fn of(path: &str) -> Route {
        let Some(path) = decode(path) else { return Route::NotText };
        let path = path.strip_prefix('/').unwrap_or(&path);
        match path.split_once('/') {
            None if path.is_empty() => Route::Service,
            None => Route::Bucket(path.to_owned()),
            Some((bucket, "")) => Route::Bucket(bucket.to_owned()),
            Some((bucket, key)) => Route::Object(bucket.to_owned(), key.to_owned()),
        }
    }

    pub fn bucket(&self) -> Option<&str> {
        match self {
            Route::Bucket(bucket) | Route::Object(bucket, _) => Some(bucket),
            Route::Service | Route::NotText => None,
        }
    }
}

/// Percent-decodes text; none if it is not UTF-8 or contains NUL.
pub(super) fn decode(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

/// The decoded names and values of a query.
pub(super) fn query(text: Option<&str>) -> Option<Vec<(String, String)>> {
    let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_bucket_and_object() {
        for (path, expect) in [
            ("/", Route::Service),
            ("/b", Route::Bucket("b".into())),
            ("/b/", Route::Bucket("b".into())),
            ("/b/o/p%2Fq", Route::Object("b".into(), "o/p/q".into())),
            ("/b/%ff", Route::NotText),
            ("/b/%00", Route::NotText),
        ] {
            assert_eq!(Route::of(path), expect, "{path}");
        }
    }
}
