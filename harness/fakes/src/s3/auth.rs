//! Who may: signatures (AWS Signature Version 4), from first principles.

use clinker_env::Env;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::pages::Refusal;
use super::route::Route;
use super::{Key, S3Fake};
use crate::server::Request;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What stays as it is in a query's encoding, and in a path's.
pub(super) const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
pub(super) const PATH: AsciiSet = UNRESERVED.remove(b'/');
const PAYLOAD: &str = "x-amz-content-sha256";
const DATE: &str = "x-amz-date";

/// An `Authorization` header, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    access: &'a str,
    date: &'a str,
    region: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(header: &'a str) -> Option<Claim<'a>> {
        let mut credential = None;
        let mut signed = None;
        let mut signature = None;
        for part in header.strip_prefix(ALGORITHM)?.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            match name {
                "Credential" => credential = Some(value),
                "SignedHeaders" => signed = Some(value),
                "Signature" => signature = Some(value),
                _ => return None,
            }
        }
        // Access keys may have any character but a comma: the scope is what follows from the right.
        let mut scope = credential?.rsplitn(5, '/');
        let (end, service) = (scope.next()?, scope.next()?);
        let (region, date, access) = (scope.next()?, scope.next()?, scope.next()?);
        (end == "aws4_request" && service == "s3").then_some(())?;
        Some(Claim { access, date, region, signed: signed?.split(';').collect(), signature: signature? })
    }

    fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.date, self.region)
    }
}

impl S3Fake {
    /// The owner of the key by which the request is signed.
    pub(super) fn authenticate(&self, env: &Env, request: &Request, route: &Route) -> Result<String, Refusal> {
        let Some(header) = request.header("authorization") else {
            let anonymous = Refusal::new(403, "AccessDenied").in_bucket(route.bucket());
            return Err(if self.is_rgw() { anonymous } else { Refusal::by_swift() });
        };
        let claim = Claim::parse(header);
        if claim.is_none() && self.is_rgw() {
            return Err(Refusal::new(400, "InvalidArgument"));
        }
        let no_date = "AWS authentication requires a valid Date or x-amz-date header";
        let stamp = request.header(DATE).ok_or_else(|| Refusal::new(403, "AccessDenied").saying(no_date))?;
        let date = parse_date(stamp).ok_or_else(|| Refusal::new(403, "AccessDenied").saying(no_date))?;
        let claim = claim.ok_or_else(|| malformed("The authorization header that you provided is not valid."))?;
        if stamp.get(..8) != Some(claim.date) {
            return Err(malformed("Invalid credential date; it is not the date of the request."));
        }
        if !self.is_rgw() && claim.region != self.config.region {
            let (wrong, right) = (claim.region, &self.config.region);
            let message =
                format!("The authorization header is malformed; the region '{wrong}' is wrong; expecting '{right}'");
            return Err(malformed(&message).also("Region", right));
        }
        let skew = env.clock.now().duration_since(date).unsigned_abs();
        if skew > self.config.clock_skew_max {
            return Err(Refusal::new(403, "RequestTimeTooSkewed"));
        }
        check_signed_headers(request, &claim)?;
        self.check_signature(request, &claim, stamp)
    }

    fn check_signature(&self, request: &Request, claim: &Claim<'_>, stamp: &str) -> Result<String, Refusal> {
        let payload = request.header(PAYLOAD).ok_or_else(|| {
            Refusal::new(400, "InvalidRequest").saying(format!("Missing required header for this request: {PAYLOAD}"))
        })?;
        let canonical = canonical_request(request, claim, payload)?;
        let to_sign = format!("{ALGORITHM}\n{stamp}\n{}\n{}", claim.scope(), sha256(canonical.as_bytes()));
        let known = self.config.keys.iter().find(|key| key.access == claim.access);
        if let Some(id) = self.core.faults.wrong_credentials() {
            self.core.bite(id, &format!("key of {} {} not accepted", request.method, request.target()));
        } else if let Some(key) = known
            && signature(key, claim, &to_sign) == claim.signature
        {
            return Ok(key.owner.clone());
        }
        if known.is_none() && self.is_rgw() {
            return Err(Refusal::new(403, "InvalidAccessKeyId"));
        }
        Err(Refusal::new(403, "SignatureDoesNotMatch")
            .also("AWSAccessKeyId", claim.access)
            .also("StringToSign", to_sign.as_str())
            .also("SignatureProvided", claim.signature)
            .also("StringToSignBytes", hex_bytes(&to_sign))
            .also("CanonicalRequest", canonical.as_str())
            .also("CanonicalRequestBytes", hex_bytes(&canonical)))
    }
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(400, "AuthorizationHeaderMalformed").saying(message)
}

/// Host and all of Amazon's headers must be signed: a header that is not could have been added on the way.
fn check_signed_headers(request: &Request, claim: &Claim<'_>) -> Result<(), Refusal> {
    let names = request.headers.keys().map(hyper::header::HeaderName::as_str);
    let must = |name: &&str| *name == "host" || name.starts_with("x-amz-");
    let unsigned: Vec<&str> = names.filter(must).filter(|name| !claim.signed.contains(name)).collect();
    if unsigned.is_empty() && claim.signed.is_sorted() {
        return Ok(());
    }
    let message = "There were headers present in the request which were not signed";
    Err(Refusal::new(403, "AccessDenied").saying(message).also("HeadersNotSigned", unsigned.join(", ")))
}

fn canonical_request(request: &Request, claim: &Claim<'_>, payload: &str) -> Result<String, Refusal> {
    let path = percent_decode_str(&request.path).decode_utf8_lossy();
    let path = utf8_percent_encode(&path, &PATH);
    let pairs = super::route::query(request.query.as_deref()).ok_or_else(|| Refusal::new(400, "InvalidURI"))?;
    let encoded = |text: &str| utf8_percent_encode(text, &UNRESERVED).to_string();
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers = String::new();
    for name in &claim.signed {
        let values: Vec<String> =
            request.headers.get_all(*name).iter().map(|value| collapsed(value.as_bytes())).collect();
        headers += &format!("{name}:{}\n", values.join(","));
    }
    let (method, query, signed) = (&request.method, query.join("&"), claim.signed.join(";"));
    Ok(format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}"))
}

/// A header's value with runs of blanks made one.
fn collapsed(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn signature(key: &Key, claim: &Claim<'_>, to_sign: &str) -> String {
    let seed = format!("AWS4{}", key.secret).into_bytes();
    let signing = [claim.date, claim.region, "s3", "aws4_request"].iter().fold(seed, |key, part| hmac(&key, part));
    hex::encode(hmac(&signing, to_sign))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn hex_bytes(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// `20261121T185924Z`.
fn parse_date(stamp: &str) -> Option<Timestamp> {
    let date = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", stamp).ok()?.to_datetime().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_taken_apart_from_the_right() {
        let header = "AWS4-HMAC-SHA256 Credential=a/b:c/20261121/r/s3/aws4_request, SignedHeaders=host;x, Signature=f0";
        let claim = Claim::parse(header).unwrap();
        assert_eq!((claim.access, claim.scope().as_str()), ("a/b:c", "20261121/r/s3/aws4_request"));
        assert_eq!((claim.signed, claim.signature), (vec!["host", "x"], "f0"));
        assert_eq!(Claim::parse("AWS4-HMAC-SHA256 nonsense"), None);
        assert_eq!(Claim::parse(&header.replace("/s3/", "/ec2/")), None);
        assert_eq!(Claim::parse(&header.replace(", Signature=f0", "")), None);
    }

    #[test]
    fn a_date_is_basic_iso() {
        assert_eq!(parse_date("20261121T185924Z").unwrap().to_string(), "2026-11-21T18:59:24Z");
        assert_eq!(parse_date("2026-11-21T18:59:24Z"), None);
    }
}
