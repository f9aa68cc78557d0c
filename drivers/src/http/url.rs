//! HTTP URLs: scheme, host, port and path, checked once where they enter.

use std::net::Ipv6Addr;

use crate::{Error, Kind, Result};

/// An `http` URL, or `https` where TLS is built in. The path begins with `/` and is percent-encoded. A URL that was read
/// has no query, for others are made from it by [`Url::join`]; those may have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Url {
    /// Reads a URL. `origin` says in errors where it comes from, e.g. `option backup_swift_url`.
    pub fn parse(origin: &str, text: &str) -> Result<Url> {
        let refuse = |why: &str| Error::new(Kind::InvalidConfig, format!("{origin}: {why}, expected {FORM}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("not a URL"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" if cfg!(feature = "tls") => true,
            "https" => return Err(refuse("TLS is not built in (cargo feature `tls` of clinker-drivers)")),
            _ => return Err(refuse("not an http URL")),
        };
        if rest.contains('?') {
            return Err(refuse("has a query"));
        }
        let end = rest.find(['/', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // Not shown in the error: it would be a credential.
        if authority.contains('@') {
            return Err(refuse("has a user name in it"));
        }
        if path.bytes().any(|b| !b.is_ascii_graphic()) || path.contains(['#', '"', '<', '>']) {
            return Err(refuse("its path is not percent-encoded"));
        }
        let (host, port) =
            split_port(authority, if tls { "443" } else { "80" }).ok_or_else(|| refuse("its host or port is wrong"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { tls, host, port, path })
    }

    /// The same server's URL for `path`, which begins with `/` and is percent-encoded.
    pub fn with_path(&self, path: &str) -> Url {
        Url { path: path.to_owned(), ..self.clone() }
    }

    /// This URL with `suffix` (which begins with `/`) after its path.
    pub fn join(&self, suffix: &str) -> Url {
        self.with_path(&format!("{}{suffix}", self.path.trim_end_matches('/')))
    }

    /// The last segment of the path; empty for the root.
    pub fn last_segment(&self) -> &str {
        self.path.trim_end_matches('/').rsplit('/').next().unwrap_or("")
    }

    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// What a connection is good for.
    pub(super) fn server(&self) -> (bool, String, u16) {
        (self.tls, self.host.clone(), self.port)
    }

    /// The `Host` header's value.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == (if self.tls { 443 } else { 80 }) { host } else { format!("{host}:{}", self.port) }
    }
}

const FORM: &str = "http://host[:port]/path";

fn split_port(authority: &str, default: &'static str) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some(default))?)
        }
        None => authority.split_once(':').unwrap_or((authority, default)),
    };
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|&port| port != 0 && digits)?;
    plain.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, u16, &str), &str>) {
        match (Url::parse("option x", text), expected) {
            (Ok(url), Ok(expected)) => assert_eq!((url.host(), url.port(), url.path()), expected),
            (Err(error), Err(expected)) => {
                assert_eq!(error.kind, Kind::InvalidConfig);
                assert_eq!(error.what, format!("option x: {expected}, expected {FORM}"));
            }
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_url_is_split_into_host_port_and_path() {
        check("http://swift:8080/v1/AUTH_", Ok(("swift", 8080, "/v1/AUTH_")));
        check("HTTP://swift", Ok(("swift", 80, "/")));
        check("http://[::1]:81/a", Ok(("::1", 81, "/a")));
        check("http://[::1]", Ok(("::1", 80, "/")));
    }

    #[test]
    fn tls_is_there_or_its_feature_is_named() {
        #[cfg(feature = "tls")]
        {
            check("https://swift/v1", Ok(("swift", 443, "/v1")));
            let url = Url::parse("option x", "https://[::1]:8443/").unwrap();
            assert_eq!((url.is_tls(), url.authority().as_str()), (true, "[::1]:8443"));
        }
        #[cfg(not(feature = "tls"))]
        check("https://swift/v1", Err("TLS is not built in (cargo feature `tls` of clinker-drivers)"));
    }

    #[test]
    fn what_cannot_be_reached_by_http_is_refused() {
        check("ftp://swift", Err("not an http URL"));
        check("swift:8080", Err("not a URL"));
        check("http://me:hunter2@swift/", Err("has a user name in it"));
        check("http://swift:0/", Err("its host or port is wrong"));
        check("http://swift:port/", Err("its host or port is wrong"));
        check("http:///v1", Err("its host or port is wrong"));
        check("http://swift:+80/", Err("its host or port is wrong"));
        check("http://[swift]/", Err("its host or port is wrong"));
        check("http://swift/v1?a=b", Err("has a query"));
        check("http://swift?a", Err("has a query"));
        check("http://swift/a b", Err("its path is not percent-encoded"));
    }
}
