//! What a body claims to be: `x-amz-content-sha256`, `Content-MD5`, `x-amz-checksum-crc32`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::S3Fake;
use super::auth::sha256;
use super::pages::Refusal;
use crate::server::Request;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const CRC32: &str = "x-amz-checksum-crc32";

impl S3Fake {
    /// Every digest that the request has must be its body's.
    pub(super) fn check_body(&self, request: &Request) -> Result<(), Refusal> {
        if let Some(sent) = request.header("content-md5") {
            let claimed = STANDARD.decode(sent).ok().filter(|digest| digest.len() == 16);
            let claimed = claimed.ok_or_else(|| Refusal::new(400, "InvalidDigest").also("ContentMd5", sent))?;
            if claimed != Md5::digest(&request.body)[..] {
                return Err(Refusal::new(400, "BadDigest").also("ExpectedDigest", hex::encode(claimed)));
            }
        }
        let payload = request.header("x-amz-content-sha256").unwrap_or(UNSIGNED);
        if payload.starts_with("STREAMING-") {
            return Err(Refusal::unsupported("bodies signed piece by piece"));
        }
        let computed = sha256(&request.body);
        if payload != UNSIGNED && payload != computed {
            return Err(Refusal::new(400, "XAmzContentSHA256Mismatch")
                .also("ClientComputedContentSHA256", payload)
                .also("S3ComputedContentSHA256", computed));
        }
        // RGW of this version does not know the header.
        match request.header(CRC32) {
            Some(sent) if !self.is_rgw() && sent != STANDARD.encode(crc32(&request.body).to_be_bytes()) => {
                let message = "The CRC32 you specified did not match the calculated checksum.";
                Err(Refusal::new(400, "BadDigest").saying(message))
            }
            _ => Ok(()),
        }
    }
}

/// CRC-32 of IEEE 802.3.
fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !data.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_has_the_standards_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
