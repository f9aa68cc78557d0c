//! Which recording is replayed after what, and which answers the fakes cannot give.

use clinker_model::Fault;
use clinker_model::fault::{HostTarget, Matching, Status};

/// What happens before the recorded request.
pub enum Step {
    /// Sets the clock, in seconds since 1970.
    At(&'static str),
    /// Sets the time of the recorded request, which is otherwise the recording's `Date` and half a second.
    Ask(&'static str),
    /// PUT of container `vb`.
    Container,
    /// PUT into `vb` of an object with this name and this many bytes of the recordings' chunk.
    Object(&'static str, usize),
    /// POST to a path below the account, with a header.
    Post(&'static str, &'static str, &'static str),
    /// A HEAD of the account with the recorded token.
    Seen,
    /// The owner of the recorded token revokes it at Keystone.
    Revoke,
    Fault(fn() -> Fault),
    /// The client sends only this many bytes of its body.
    SendOnly(usize),
    /// … and then closes its side.
    SendAndClose(usize),
}
use Step::{Ask, At, Container, Object, Post, Revoke, Seen, SendAndClose, SendOnly};

pub struct Row {
    pub file: &'static str,
    pub before: &'static [Step],
    /// Headers whose value is not compared, with reason in the row's comment.
    pub free: &'static [&'static str],
}

const fn row(file: &'static str, before: &'static [Step]) -> Row {
    Row { file, before, free: &[] }
}

const fn free(file: &'static str, before: &'static [Step], free: &'static [&'static str]) -> Row {
    Row { file, before, free }
}

fn unavailable() -> Fault {
    Fault::Status(Status {
        host: "swift".into(),
        code: 503,
        retry_after: None,
        beyond_per_second: 0,
        requests: Matching::default(),
    })
}

fn forgotten() -> Fault {
    Fault::RevokeTokens(HostTarget { host: "swift".into() })
}

const N1: &str = "volume_1/20260101000000/az_nova_backup_2-00001";
const N2: &str = "volume_1/20260101000000/az_nova_backup_2-00002";
const N3: &str = "volume_1/20260101000000/az_nova_backup_2-00003";
const N4: &str = "volume_1/20260101000000/az_nova_backup_2-00004";
const META: &str = "volume_1/20260101000000/az_nova_backup_2-_metadata";

/// The container as the recordings found it: made, and PUT again.
const VB: &[Step] = &[At("1795289480.13298"), Container, At("1795289480.31612"), Container];
const ONE: &[Step] = &[At("1795289480.13298"), Container, At("1795289483.13314"), Object(N1, 1050)];
const ALL: &[Step] = &[
    At("1795289480.13298"),
    Container,
    At("1795289480.31612"),
    Container,
    At("1795289483.13314"),
    Object(N1, 1050),
    At("1795289481.51233"),
    Object(N2, 1050),
    Object(N3, 1050),
    Object(N4, 5),
    Object(META, 19),
];
const FAILING: &[Step] = &[At("1795289480.13298"), Container, Step::Fault(unavailable)];

const KS: &[Step] = &[At("1795288345.76252"), Container, At("1795288346.00462"), Object("o-00001", 3)];

pub const ROWS: &[Row] = &[
    row("swift/account-bad-token-401.txt", &[]),
    row("swift/account-get-empty-204.txt", &[]),
    row("swift/account-head-new-200.txt", &[]),
    row("swift/account-list-json.txt", &[At("1795289480.11294"), Container, At("1795289480.31612"), Container]),
    row("swift/account-no-token-401.txt", &[]),
    row("swift/account-other-403.txt", &[]),
    row("swift/account-quota-set-204.txt", &[]),
    row("swift/account-quota-unset-204.txt", &[]),
    row("swift/auth-bad-path-400.txt", &[]),
    row("swift/auth-no-headers-401.txt", &[]),
    // The token is new, and in a simulation no time passes between its issue and the answer.
    free("swift/auth-ok.txt", &[], &["x-auth-token", "x-storage-token", "x-auth-token-expires"]),
    row("swift/auth-unknown-user-401.txt", &[]),
    row("swift/auth-wrong-key-401.txt", &[]),
    row("swift/container-delete-204.txt", VB),
    row("swift/container-delete-409.txt", ONE),
    row("swift/container-delete-again-404.txt", &[]),
    row("swift/container-get-404.txt", &[]),
    row("swift/container-get-empty-204.txt", VB),
    row("swift/container-get-empty-json.txt", VB),
    row("swift/container-head-204.txt", VB),
    row("swift/container-head-404.txt", &[]),
    row("swift/container-list-limit-412.txt", VB),
    row("swift/container-list-marker-end.txt", ALL),
    row("swift/container-list-prefix-json.txt", ALL),
    row("swift/container-list-prefix-plain.txt", ALL),
    row("swift/container-put-201.txt", &[]),
    row("swift/container-put-again-202.txt", VB),
    row("swift/container-put-longname-400.txt", &[]),
    row("swift/container-put-policy-400.txt", &[]),
    row("swift/container-put2-201.txt", &[]),
    row("swift/container-quota-set-204.txt", VB),
    row("swift/container-quota-unset-204.txt", VB),
    row("swift/container-server-dead-head-503.txt", FAILING),
    row("swift/container-server-dead-object-put.txt", FAILING),
    row("swift/container-server-hung-head-503.txt", FAILING),
    row("swift/container-server-hung-list-503.txt", FAILING),
    // The real answer took six seconds, so its two dates agree.
    free("swift/container-server-hung-object-put.txt", VB, &["last-modified"]),
    row("swift/container-server-hung-put-503.txt", FAILING),
    row("swift/healthcheck.txt", &[]),
    // The real server has middlewares that the fake has not.
    free("swift/info.txt", &[], &["content-length"]),
    row("swift/method-405.txt", &[]),
    row("swift/object-delete-204.txt", ONE),
    row("swift/object-delete-again-404.txt", VB),
    row("swift/object-get-200.txt", ONE),
    row("swift/object-get-404.txt", VB),
    row("swift/object-get-ifmatch-412.txt", ONE),
    row("swift/object-get-ifnonematch-304.txt", ONE),
    row("swift/object-get-range-206.txt", ONE),
    row("swift/object-get-range-416.txt", ONE),
    row("swift/object-get-reader-403.txt", ONE),
    row("swift/object-head-200.txt", ONE),
    row("swift/object-head-404.txt", VB),
    row("swift/object-put-201.txt", VB),
    row(
        "swift/object-put-account-quota-413.txt",
        &[At("1795289480.13298"), Container, Post("", "X-Account-Meta-Quota-Bytes", "10")],
    ),
    row("swift/object-put-bad-etag-422.txt", VB),
    row("swift/object-put-chunked-201.txt", VB),
    row("swift/object-put-client-timestamp-201.txt", VB),
    row(
        "swift/object-put-container-quota-413.txt",
        &[At("1795289480.13298"), Container, Post("/vb", "X-Container-Meta-Quota-Bytes", "10")],
    ),
    row("swift/object-put-cut-499.txt", &[Container, SendAndClose(300)]),
    row("swift/object-put-expect-100-201.txt", VB),
    row("swift/object-put-ifnonematch-412.txt", ONE),
    row("swift/object-put-meta-201.txt", VB),
    row("swift/object-put-no-container-404.txt", &[]),
    row("swift/object-put-no-length-411.txt", VB),
    row("swift/object-put-noetag-201.txt", VB),
    row("swift/object-put-reader-403.txt", VB),
    row("swift/object-put-silent-499.txt", &[Container, SendOnly(525)]),
    row("swift/object-put-too-large-413.txt", VB),
    row("swift/object-put2-201.txt", VB),
    row("swift/object-server-dead-get-503.txt", FAILING),
    row("swift/object-server-dead-put-503.txt", FAILING),
    row("swift/object-server-hung-delete-503.txt", FAILING),
    row("swift/object-server-hung-get-503.txt", FAILING),
    row("swift/object-server-hung-head-503.txt", FAILING),
    row("swift/object-server-hung-put-503.txt", FAILING),
    row("swift/path-bad-utf8-412.txt", &[]),
    row("swift/path-unknown-412.txt", &[]),
    row("swift/token-cache-dead-auth-503.txt", FAILING),
    row("swift/token-cache-dead-get-401.txt", &[Step::Fault(forgotten)]),
    row("swift/token-lost-401.txt", &[Step::Fault(forgotten)]),
    // Issued in one second, answered in the next.
    free("keystone/ks-auth-201.txt", &[Ask("1795288355.5")], &["date"]),
    row("keystone/ks-auth-empty-400.txt", &[]),
    row("keystone/ks-auth-no-role-401.txt", &[]),
    row("keystone/ks-auth-nocatalog-201.txt", &[]),
    row("keystone/ks-auth-not-json-400.txt", &[]),
    row("keystone/ks-auth-reader-201.txt", &[]),
    row("keystone/ks-auth-unknown-project-401.txt", &[]),
    row("keystone/ks-auth-unknown-user-401.txt", &[]),
    row("keystone/ks-auth-unscoped-201.txt", &[]),
    row("keystone/ks-auth-wrong-password-401.txt", &[]),
    row("keystone/ks-expired-token-validate-401.txt", &[]),
    row("keystone/ks-token-revoke-204.txt", &[]),
    row("keystone/ks-token-validate-200.txt", &[]),
    row("keystone/ks-token-validate-401.txt", &[]),
    row("keystone/ks-token-validate-revoked.txt", &[Revoke]),
    row("keystone/ks-version-root-300.txt", &[]),
    row("keystone/ks-version-v3-200.txt", &[]),
    row("keystone/sw-account-200.txt", &[]),
    row("keystone/sw-bad-token-401.txt", &[]),
    row("keystone/sw-before-expiry-200.txt", KS),
    row("keystone/sw-container-put-201.txt", &[]),
    row("keystone/sw-expired-token-401.txt", KS),
    row("keystone/sw-expired-token-put-401.txt", KS),
    // The fakes share their tokens in memory: Keystone's absence shows only as a token that Swift does not know.
    row("keystone/sw-keystone-dead-cached-200.txt", KS),
    row("keystone/sw-keystone-dead-unseen-401.txt", KS),
    row("keystone/sw-keystone-hung-cached-200.txt", KS),
    row("keystone/sw-no-token-401.txt", &[]),
    row("keystone/sw-object-get-200.txt", KS),
    row("keystone/sw-object-put-201.txt", KS),
    row("keystone/sw-other-account-403.txt", &[]),
    row("keystone/sw-reader-put-403.txt", KS),
    row("keystone/sw-revoked-token.txt", &[At("1795288345.76252"), Container, Seen, Revoke]),
];

const NO_LENGTH: &str = "hyper never sends Content-Length with 204 or 304, as RFC 9110 asks";

/// What a hyper server cannot give: file, `all` or the header that is missing, reason.
pub const CANNOT: &[(&str, &str, &str)] = &[
    ("swift/object-put-bad-length-400.txt", "all", "hyper refuses the length itself, as HTTP/1.1 where Swift says 1.0"),
    ("swift/account-get-empty-204.txt", "content-length", NO_LENGTH),
    ("swift/account-quota-set-204.txt", "content-length", NO_LENGTH),
    ("swift/account-quota-unset-204.txt", "content-length", NO_LENGTH),
    ("swift/container-delete-204.txt", "content-length", NO_LENGTH),
    ("swift/container-get-empty-204.txt", "content-length", NO_LENGTH),
    ("swift/container-quota-set-204.txt", "content-length", NO_LENGTH),
    ("swift/container-quota-unset-204.txt", "content-length", NO_LENGTH),
    ("swift/object-delete-204.txt", "content-length", NO_LENGTH),
    ("swift/object-get-ifnonematch-304.txt", "content-length", NO_LENGTH),
];
