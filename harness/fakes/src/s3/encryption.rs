//! Encryption with a key that comes with every request and is forgotten (SSE-C). Bytes are kept as they came; what a
//! client can see is kept to: without the key there is no reading, and the ETag is no digest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::pages::Refusal;
use crate::answer::Answer;
use crate::disk::Object;
use crate::server::Request;

const ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const KEY: &str = "x-amz-server-side-encryption-customer-key";
const KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";
/// The key of an object's metadata under which the digest of its key stands.
const META: &str = "customer-key-md5";

/// The digest of the key that a request brings, if it brings one.
fn brought(request: &Request) -> Result<Option<String>, Refusal> {
    let invalid = |what: &str| Refusal::new(400, "InvalidArgument").saying(what);
    let (algorithm, key, md5) = (request.header(ALGORITHM), request.header(KEY), request.header(KEY_MD5));
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(None);
    }
    if algorithm != Some("AES256") {
        return Err(invalid("The encryption algorithm is not AES256."));
    }
    let key = key.and_then(|key| STANDARD.decode(key).ok()).filter(|key| key.len() == 32);
    let key = key.ok_or_else(|| invalid("The secret key was invalid for the specified algorithm."))?;
    let computed = STANDARD.encode(Md5::digest(key));
    if md5 != Some(computed.as_str()) {
        return Err(invalid("The calculated MD5 hash of the key did not match the hash that was provided."));
    }
    Ok(Some(computed))
}

/// Remembers by which key an object about to be stored is encrypted.
pub(super) fn encrypt(request: &Request, object: &mut Object) -> Result<(), Refusal> {
    if let Some(key) = brought(request)? {
        object.etag = hex::encode(Md5::digest([object.etag.as_bytes(), key.as_bytes()].concat()));
        object.meta.insert(META.to_owned(), key);
    }
    Ok(())
}

/// Lets a request read an object only with its key, or without one if it has none.
pub(super) fn check_key(request: &Request, object: &Object) -> Result<(), Refusal> {
    match (brought(request)?, object.meta.get(META)) {
        (None, None) => Ok(()),
        (Some(brought), Some(needed)) if brought == *needed => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::new(403, "AccessDenied")),
        (None, Some(_)) => Err(Refusal::new(400, "InvalidRequest").saying(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided \
             to retrieve the object.",
        )),
        (Some(_), None) => {
            Err(Refusal::new(400, "InvalidRequest")
                .saying("The encryption parameters are not applicable to this object."))
        }
    }
}

/// Adds what the answer says of an object's encryption.
pub(super) fn described(answer: Answer, meta: &BTreeMap<String, String>) -> Answer {
    match meta.get(META) {
        Some(md5) => answer.header(ALGORITHM, "AES256").header(KEY_MD5, md5),
        None => answer,
    }
}
