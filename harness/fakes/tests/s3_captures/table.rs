//! Which recording is replayed after what, and which answers the S3 fake cannot give.

use clinker_model::fault::Full;
use clinker_model::{ByteSize, Fault};

/// What happens before the recorded request.
pub enum Step {
    /// Sets the clock, in seconds since 1970.
    At(&'static str),
    /// PUT of a bucket.
    Bucket(&'static str),
    /// PUT of an object with so many bytes of the recordings' chunk.
    Object(&'static str, usize),
    /// PUT of an object with a text so many times.
    Text(&'static str, &'static str, usize),
    Fault(fn() -> Fault),
}
use Step::{At, Bucket, Object, Text};

pub struct Row {
    pub file: &'static str,
    pub before: &'static [Step],
}

const fn row(file: &'static str, before: &'static [Step]) -> Row {
    Row { file, before }
}

fn full() -> Fault {
    Fault::Full(Full { after: ByteSize(0) })
}

const N1: &str = "/volumebackups/volume_1/20260101000000/az_nova_backup_2-00001";
const N2: &str = "/volumebackups/volume_1/20260101000000/az_nova_backup_2-00002";
const N3: &str = "/volumebackups/volume_1/20260101000000/az_nova_backup_2-00003";
const VB: &str = "/volumebackups";

// 18:59:21 for RGW, 18:59:54 for s3api: each is asked for a moment later.
const S3API_BUCKET: &[Step] = &[At("1795287593.5"), Bucket(VB)];
const S3API_ONE: &[Step] = &[At("1795287593.5"), Bucket(VB), At("1795287594.5"), Object(N1, 1050)];
const S3API_ALL: &[Step] =
    &[At("1795287593.5"), Bucket(VB), At("1795287594.5"), Object(N1, 1050), Object(N2, 1050), Object(N3, 1050)];
const S3API_ENCODED: &[Step] = &[
    At("1795313217.5"),
    Bucket("/encodings"),
    Text("/encodings/volume_1/20260101000000/az_n%C3%B6va_backup_2%2B%26-00001", "abc", 1),
];
const RGW_BUCKET: &[Step] = &[At("1795287560.5"), Bucket(VB)];
const RGW_ONE: &[Step] = &[At("1795287560.5"), Bucket(VB), At("1795287561.384"), Object(N1, 1050)];
const RGW_ALL: &[Step] = &[
    At("1795287560.5"),
    Bucket(VB),
    At("1795287561.384"),
    Object(N1, 1050),
    At("1795287561.551"),
    Object(N2, 1050),
    Object(N3, 1050),
];
const RGW_FULL: &[Step] = &[At("1795288660.5"), Bucket("/faultb"), Step::Fault(full)];
const RGW_FAULTB: &[Step] = &[At("1795288661.5"), Bucket("/faultb"), Text("/faultb/o1", "abc", 1000)];

pub const ROWS: &[Row] = &[
    row("s3api/auth-bad-signature-403.txt", S3API_ONE),
    row("s3api/auth-bad-signature-put-403.txt", S3API_ONE),
    row("s3api/auth-clock-skew-403.txt", S3API_ONE),
    row("s3api/auth-garbage.txt", S3API_ONE),
    row("s3api/auth-none-403.txt", S3API_ONE),
    row("s3api/auth-unknown-key-403.txt", S3API_ONE),
    row("s3api/auth-wrong-region.txt", S3API_ONE),
    row("s3api/bucket-delete-204.txt", S3API_BUCKET),
    row("s3api/bucket-delete-again-404.txt", &[]),
    row("s3api/bucket-delete-notempty-409.txt", S3API_ONE),
    row("s3api/bucket-get-404.txt", &[]),
    row("s3api/bucket-head-200.txt", S3API_BUCKET),
    row("s3api/bucket-head-404.txt", &[]),
    row("s3api/bucket-list-empty-200.txt", &[]),
    row("s3api/bucket-put-200.txt", &[]),
    row("s3api/bucket-put-again.txt", S3API_BUCKET),
    row("s3api/bucket-put-badname-400.txt", &[]),
    row("s3api/list-v2-encoded-200.txt", S3API_ENCODED),
    row("s3api/list-v2-encoding-400.txt", S3API_ENCODED),
    row("s3api/list-v2-prefix-200.txt", S3API_ALL),
    row("s3api/method-405.txt", S3API_ONE),
    row("s3api/object-delete-204.txt", S3API_ONE),
    row("s3api/object-delete-again-204.txt", S3API_BUCKET),
    row("s3api/object-get-200.txt", S3API_ONE),
    row("s3api/object-get-404.txt", S3API_ONE),
    row("s3api/object-get-checksum-mode-200.txt", S3API_ENCODED),
    row("s3api/object-get-range-206.txt", S3API_ONE),
    row("s3api/object-get-range-416.txt", S3API_ONE),
    row("s3api/object-head-200.txt", S3API_ONE),
    row("s3api/object-head-404.txt", S3API_ONE),
    row("s3api/object-put-bad-crc32-400.txt", S3API_BUCKET),
    row("s3api/object-put-bad-md5-400.txt", S3API_BUCKET),
    row("s3api/object-put-bad-sha256-400.txt", S3API_BUCKET),
    row("s3api/object-put-crc32-200.txt", S3API_BUCKET),
    row("s3api/object-put-expect-100-200.txt", S3API_BUCKET),
    row("s3api/object-put-invalid-md5-400.txt", S3API_BUCKET),
    row("s3api/object-put-md5-200.txt", S3API_BUCKET),
    row("s3api/object-put-no-bucket-404.txt", &[]),
    row("s3api/object-put-no-length-411.txt", S3API_BUCKET),
    row("s3api/object-put-nomd5-200.txt", S3API_BUCKET),
    row("s3api/object-put-unsigned-payload-200.txt", S3API_BUCKET),
    row("rgw/auth-bad-signature-403.txt", RGW_ONE),
    row("rgw/auth-bad-signature-put-403.txt", RGW_ONE),
    row("rgw/auth-clock-skew-403.txt", RGW_ONE),
    row("rgw/auth-garbage.txt", RGW_ONE),
    row("rgw/auth-none-403.txt", RGW_ONE),
    row("rgw/auth-unknown-key-403.txt", RGW_ONE),
    row("rgw/auth-wrong-region.txt", RGW_ONE),
    row("rgw/bucket-delete-204.txt", RGW_BUCKET),
    row("rgw/bucket-delete-again-404.txt", &[]),
    row("rgw/bucket-delete-notempty-409.txt", RGW_ONE),
    row("rgw/bucket-get-404.txt", &[]),
    row("rgw/bucket-head-200.txt", RGW_BUCKET),
    row("rgw/bucket-head-404.txt", &[]),
    row("rgw/bucket-list-empty-200.txt", &[]),
    row("rgw/bucket-put-200.txt", &[]),
    row("rgw/bucket-put-again.txt", RGW_BUCKET),
    row("rgw/bucket-put-badname-400.txt", &[]),
    row("rgw/list-v2-prefix-200.txt", RGW_ALL),
    row("rgw/method-405.txt", RGW_ONE),
    row("rgw/object-delete-204.txt", RGW_ONE),
    row("rgw/object-delete-again-204.txt", RGW_BUCKET),
    row("rgw/object-get-200.txt", RGW_ONE),
    row("rgw/object-get-404.txt", RGW_ONE),
    row("rgw/object-get-range-206.txt", RGW_ONE),
    row("rgw/object-get-range-416.txt", RGW_ONE),
    row("rgw/object-head-200.txt", RGW_ONE),
    row("rgw/object-head-404.txt", RGW_ONE),
    row("rgw/object-put-bad-crc32-400.txt", RGW_BUCKET),
    row("rgw/object-put-bad-md5-400.txt", RGW_BUCKET),
    row("rgw/object-put-bad-sha256-400.txt", RGW_BUCKET),
    row("rgw/object-put-crc32-200.txt", RGW_BUCKET),
    row("rgw/object-put-expect-100-200.txt", RGW_BUCKET),
    row("rgw/object-put-invalid-md5-400.txt", RGW_BUCKET),
    row("rgw/object-put-md5-200.txt", RGW_BUCKET),
    row("rgw/object-put-no-bucket-404.txt", &[]),
    row("rgw/object-put-no-length-411.txt", RGW_BUCKET),
    row("rgw/object-put-nomd5-200.txt", RGW_BUCKET),
    row("rgw/object-put-quota-403.txt", RGW_FULL),
    row("rgw/object-put-too-large-400.txt", RGW_BUCKET),
    row("rgw/object-put-unsigned-payload-200.txt", RGW_BUCKET),
    row("rgw/osd-back-get-200.txt", RGW_FAULTB),
];

const NO_LENGTH: &str = "hyper never sends Content-Length with 204, as RFC 9110 asks";
const WHOLE: &str = "the fakes' bodies are whole: they have a length where RGW sends them chunked";
const MANY: &str = "no driver deletes many objects with one request; the answer is 501";
const VERSION_1: &str = "the fake lists by version 2 only; the answer is 501";
const CUT: &str =
    "the client is gone: s3api judges the bytes that came, RGW says NoSuchKey, AWS and the fake IncompleteBody";
const TOO_LARGE: &str = "s3api waits for all of the body; the fake refuses its length at once, as RGW does";
const HUNG: &str = "there was no answer: the fault `silent` (tests/s3_faults.rs)";
const SUSPENDED: &str = "no fault suspends a user: `wrong_credentials` says that the key is not known";

/// What the fake cannot give: file, `all` or the header that is missing, reason.
pub const CANNOT: &[(&str, &str, &str)] = &[
    ("s3api/bucket-delete-204.txt", "content-length", NO_LENGTH),
    ("s3api/list-v1-200.txt", "all", VERSION_1),
    ("s3api/object-delete-204.txt", "content-length", NO_LENGTH),
    ("s3api/object-delete-again-204.txt", "content-length", NO_LENGTH),
    ("s3api/object-put-cut.txt", "all", CUT),
    ("s3api/object-put-too-large-400.txt", "all", TOO_LARGE),
    ("s3api/objects-delete-many-200.txt", "all", MANY),
    ("rgw/bucket-list-empty-200.txt", "transfer-encoding", WHOLE),
    ("rgw/list-v1-200.txt", "all", VERSION_1),
    ("rgw/list-v2-prefix-200.txt", "transfer-encoding", WHOLE),
    ("rgw/object-put-cut.txt", "all", CUT),
    ("rgw/objects-delete-many-200.txt", "all", MANY),
    ("rgw/osd-hung-list.txt", "all", HUNG),
    ("rgw/osd-hung-put.txt", "all", HUNG),
    ("rgw/user-suspended-403.txt", "all", SUSPENDED),
];
