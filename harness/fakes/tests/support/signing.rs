//! Signs requests to the S3 fake (AWS Signature Version 4), and sends them.
#![allow(dead_code, reason = "each test binary uses its part")]

use clinker_env::Env;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::support::{Reply, send};

pub struct Signer {
    pub access: &'static str,
    pub secret: &'static str,
    pub region: &'static str,
}

pub fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

impl Signer {
    /// The headers of a signed request. `target` is encoded, its query sorted; host is `here`, as [`send`] says.
    pub fn headers(
        &self,
        now: Timestamp,
        method: &str,
        target: &str,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<(String, String)> {
        let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let payload = sha256(body);
        let mut headers: Vec<(String, String)> =
            [("host", "here"), ("x-amz-content-sha256", &payload), ("x-amz-date", &stamp)]
                .iter()
                .chain(more)
                .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
                .collect();
        headers.sort();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
        let scope = format!("{}/{}/s3/aws4_request", &stamp[..8], self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let key = scope.split('/').fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| hmac(&key, part));
        let signature = hex::encode(hmac(&key, &to_sign));
        let credential = format!("Credential={}/{scope}, SignedHeaders={names}", self.access);
        headers.retain(|(name, _)| name != "host");
        headers.push(("authorization".into(), format!("AWS4-HMAC-SHA256 {credential}, Signature={signature}")));
        headers
    }

    /// One signed request; none if no answer comes back.
    pub async fn ask(
        &self,
        env: &Env,
        port: u16,
        (method, target): (&str, &str),
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        let headers = self.headers(env.clock.now(), method, target, more, body);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        send(env, port, method, target, &headers, body).await
    }
}
