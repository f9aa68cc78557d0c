//! `transport_url`: where the broker is and who we are to it, in oslo.messaging's form.

use clinker_drivers::{Error, Kind, Options, Result, Secret, tls};

/// Where to connect and as whom. Its `Debug` shows no credential.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Secret,
    pub vhost: String,
    pub tls: bool,
    pub ca_file: Option<String>,
}

const FORM: &str = "rabbit://user:password@host:port//";
const PORT: u16 = 5672;
const PORT_TLS: u16 = 5671;

impl Transport {
    /// Reads the options. Without a URL the broker is on this machine, as oslo.messaging assumes.
    ///
    /// # Errors
    /// `invalid_config`, naming the option and what is wrong, never its value.
    pub fn of(options: &Options) -> Result<Transport> {
        let url = options.transport_url.as_ref().map_or("rabbit://", Secret::expose);
        let mut transport = parse(url, options.ssl)?;
        if transport.ca_file.is_none() {
            transport.ca_file.clone_from(&options.ssl_ca_file);
        }
        if transport.tls && !tls::AVAILABLE {
            return Err(wrong("TLS is not built in (cargo feature `tls` of clinker-manager)"));
        }
        Ok(transport)
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Kind::InvalidConfig, format!("option transport_url: {why}, expected {FORM}"))
}

fn parse(text: &str, ssl: bool) -> Result<Transport> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("not a URL"))?;
    if !matches!(scheme, "rabbit" | "amqp" | "kombu") {
        return Err(wrong("not a rabbit URL"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (tls, ca_file) = parameters(query, ssl)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains(',') {
        return Err(wrong("has several hosts: name one"));
    }
    let (login, place) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
    let (user, password) = login.split_once(':').ok_or_else(|| wrong("has a user without a password"))?;
    let (host, port) = place_of(place, if tls { PORT_TLS } else { PORT })?;
    let vhost = decoded(path)?;
    Ok(Transport {
        host,
        port,
        user: decoded(user)?,
        password: Secret::new(decoded(password)?),
        vhost: if vhost.is_empty() { "/".to_owned() } else { vhost },
        tls,
        ca_file,
    })
}

fn place_of(place: &str, default: u16) -> Result<(String, u16)> {
    let bad = || wrong("its host or port is wrong");
    let (host, port) = match place.strip_prefix('[') {
        Some(inner) => inner.split_once(']').ok_or_else(bad)?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?,
        None if port.is_empty() => default,
        None => return Err(bad()),
    };
    Ok((if host.is_empty() { "localhost" } else { host }.to_owned(), port))
}

/// `ssl` and `ssl_ca_file` of the URL, over the options of that name.
fn parameters(query: &str, ssl: bool) -> Result<(bool, Option<String>)> {
    let (mut tls, mut ca_file) = (ssl, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("ssl", "1" | "true" | "True" | "yes" | "on") => tls = true,
            ("ssl", "0" | "false" | "False" | "no" | "off") => tls = false,
            ("ssl", _) => return Err(wrong("its `ssl` is neither true nor false")),
            ("ssl_ca_file", path) => ca_file = Some(decoded(path)?),
            _ => return Err(wrong("has a parameter other than ssl and ssl_ca_file")),
        }
    }
    Ok((tls, ca_file))
}

fn decoded(text: &str) -> Result<String> {
    let bad = || wrong("is not percent-encoded");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        let said = match parse(url, false) {
            Ok(t) => format!("{}:{} {}/{} {} {}", t.host, t.port, t.user, t.password.expose(), t.vhost, t.tls),
            Err(error) => error.what,
        };
        assert!(said.contains(expected), "{url}: {said}");
    }

    #[test]
    fn a_transport_url_is_read_as_oslo_messaging_reads_it() {
        check("rabbit://", "localhost:5672 guest/guest / false");
        check("rabbit://me:se%2Fcret@broker:5673//", "broker:5673 me/se/cret / false");
        check("rabbit://me:p@[::1]:1/", "::1:1 me/p / false");
        check("rabbit://me:p@broker/cinder", "broker:5672 me/p cinder false");
        check("rabbit://me:p@broker//?ssl=1", "broker:5671 me/p / true");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_tls_its_feature_is_named() {
        for (name, value) in [("ssl", "true"), ("transport_url", "rabbit://me:open-sesame@broker//?ssl=1")] {
            let mut options = Options::default();
            options.set(name, value).expect("it is an option");
            let said = Transport::of(&options).expect_err("no TLS is built in").to_string();
            let expected =
                "invalid_config: option transport_url: TLS is not built in (cargo feature `tls` of clinker-manager)";
            assert!(said.starts_with(expected) && !said.contains("sesame"), "{said}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_shown() {
        check("broker", "not a URL");
        check("kafka://b", "not a rabbit URL");
        check("rabbit://me@b", "without a password");
        check("rabbit://a:b@one,a:b@two", "several hosts");
        check("rabbit://a:b@one:x", "host or port");
        check("rabbit://a:%zz@one", "percent-encoded");
        check("rabbit://a:b@one//?retry=1", "a parameter other than");
        for url in ["rabbit://me:open-sesame@b:x", "open-sesame"] {
            let said = parse(url, false).expect_err("it is wrong").to_string();
            assert!(!said.contains("sesame"), "{said}");
        }
        let shown = format!("{:?}", parse("rabbit://me:open-sesame@b", false).expect("it is right"));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
