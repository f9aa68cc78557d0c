//! Every option on one line: name, type, default, limits, help. Struct, parser and reference table follow from it.

use std::sync::LazyLock;

use super::OptionInfo;
use super::value::{Limits, Limits::*, Secret, Value};

macro_rules! options {
    ($($name:ident: $type:ty = $default:expr, $limits:expr, $help:literal;)*) => {
        /// The options of a backup service, each under Cinder's name. Durations are seconds, sizes are bytes.
        #[derive(Clone, Debug)]
        pub struct Options {
            $(#[doc = $help] pub $name: $type,)*
        }

        impl Default for Options {
            fn default() -> Options {
                Options { $($name: $default,)* }
            }
        }

        impl Options {
            /// None if no option has that name.
            pub(super) fn set_declared(&mut self, name: &str, text: &str) -> Option<Result<(), String>> {
                match name {
                    $(stringify!($name) => {
                        Some(Value::parse(text, $limits).map(|value: $type| self.$name = value))
                    })*
                    _ => None,
                }
            }

            pub(super) fn first_out_of_limits(&self) -> Option<(&'static str, String)> {
                $(if let Err(wrong) = self.$name.check($limits) {
                    return Some((stringify!($name), wrong));
                })*
                None
            }

            /// The value of an option as text, unless it is unset, secret or unknown.
            pub(super) fn shown(&self, name: &str) -> Option<String> {
                match name {
                    $(stringify!($name) => self.$name.show(),)*
                    _ => None,
                }
            }

            pub(super) fn secret_values(&self) -> Vec<&Secret> {
                [$(self.$name.secret(),)*].into_iter().flatten().collect()
            }
        }

        pub(super) fn infos() -> &'static [OptionInfo] {
            static INFOS: LazyLock<Vec<OptionInfo>> = LazyLock::new(|| {
                let defaults = Options::default();
                vec![$(OptionInfo {
                    name: stringify!($name),
                    kind: <$type as Value>::KIND,
                    default: defaults.$name.show(),
                    help: $help,
                    secret: <$type as Value>::SECRET,
                    limits: $limits,
                },)*]
            });
            &INFOS
        }
    };
}

fn text(value: &str) -> String {
    value.to_owned()
}

type Text = Option<String>;

const COMPRESSION: Limits = OneOfAnyCase(&["none", "off", "no", "zlib", "gzip", "bz2", "bzip2", "zstd"]);
const AUTH_MODES: Limits = OneOf(&["per_user", "single_user"]);
const RETRY_MODES: Limits = OneOf(&["legacy", "standard", "adaptive"]);
const AUTH_VERSIONS: Limits = OneOf(&["1", "2", "3"]);

#[rustfmt::skip]
options! {
    // service and manager
    host: String = text("localhost"), NotEmpty, "identity of the service; part of publisher ids";
    storage_availability_zone: String = text("nova"), NotEmpty, "availability zone of the service; part of object names in Swift";
    default_availability_zone: Text = None, Any, "availability zone of volumes that name none; unset = storage_availability_zone";
    state_path: String = text("/var/lib/cinder"), NotEmpty, "base directory of some defaults";
    periodic_interval: u64 = 60, Min(1), "seconds between initialisation attempts, when periodic initialisation is on";
    periodic_fuzzy_delay: u64 = 60, Any, "random delay before the first periodic run, seconds at most; 0 = none";
    report_interval: u64 = 10, Min(1), "seconds between heartbeats";
    service_down_time: u64 = 60, Min(1), "a service is up if its last heartbeat is no older than this, seconds";
    enable_new_services: bool = true, Any, "whether newly registered services start enabled";
    backup_driver: String = text("cinder.backup.drivers.swift.SwiftBackupDriver"), NotEmpty, "class path or short name of the driver";
    backup_workers: u64 = 1, Min(1), "processes that share one host name";
    backup_max_operations: u64 = 15, Any, "concurrent backup and restore data operations; 0 = unlimited";
    backup_native_threads_pool_size: u64 = 60, Min(20), "size of the worker pool";
    backup_service_inithost_offload: bool = true, Any, "whether deletes found at start run concurrently or one after the other";
    backup_use_temp_snapshot: bool = false, Any, "whether volumes in use are copied as a temporary snapshot instead of a temporary volume";
    backup_use_same_host: bool = false, Any, "whether to choose the backup service on the volume's own host";
    backup_metadata_version: u64 = 2, Between(1, 2), "version written for volume metadata, 1 or 2; both are read";
    backup_name_template: String = text("backup-%s"), NotEmpty, "template of a backup's derived name";
    quota_backups: i64 = 10, Min(-1), "backups per project; -1 = unlimited";
    quota_backup_gigabytes: i64 = 1000, Min(-1), "GiB of backups per project; -1 = unlimited";
    reservation_expire: u64 = 86_400, Any, "taken without effect: usage is counted from the rows, so no reservation is left behind";
    until_refresh: u64 = 0, Any, "taken without effect: usage is never out of date";
    max_age: u64 = 0, Any, "taken without effect: usage is never out of date";
    message_ttl: u64 = 2_592_000, Min(1), "seconds for which a user message is kept";
    message_reap_interval: u64 = 86_400, Min(1), "seconds between removals of user messages that are older";
    // message bus
    transport_url: Option<Secret> = None, Any, "broker and credentials, rabbit://user:password@host:port/vhost; unset = guest on this machine";
    rpc_response_timeout: u64 = 60, Min(1), "seconds that a call waits for its answer; a manager gives its work for one up after as many";
    control_exchange: String = text("openstack"), NotEmpty, "exchange of requests and notifications";
    topics: Vec<String> = vec![text("notifications")], NotEmpty, "topics of notifications; of section oslo_messaging_notifications";
    amqp_durable_queues: bool = false, Any, "whether exchange and queues outlive a restart of the broker; of section oslo_messaging_rabbit";
    heartbeat_timeout_threshold: u64 = 60, Any, "seconds between the broker's signs of life, at least twice as many; 0 = none; of section oslo_messaging_rabbit";
    ssl: bool = false, Any, "whether the connection to the broker is TLS; of section oslo_messaging_rabbit";
    ssl_ca_file: Text = None, Any, "file of the certificate authorities to trust for it; unset = the system's; of section oslo_messaging_rabbit";
    // initialisation, health, progress
    backup_periodic_initialization: bool = false, Any, "whether a failed initialisation is tried again and a working driver re-checked";
    backup_initialization_timeout: u64 = 60, Min(1), "seconds after which an initialisation attempt is cut off";
    backup_driver_init_check_interval: Option<u64> = None, Min(5), "later name of periodic_interval for initialisation attempts, seconds; wins when set";
    backup_driver_stats_polling_interval: u64 = 60, Min(10), "seconds between health checks of a working driver";
    backup_object_number_per_notification: u64 = 10, Min(1), "one progress note per this many chunks";
    backup_timer_interval: u64 = 120, Min(1), "seconds between the progress timer's notes";
    backup_progress_event_type: String = text("backup.createprogress"), NotEmpty, "event type of progress notes";
    // chunked drivers
    backup_compression_algorithm: String = text("zlib"), COMPRESSION, "compression of data objects";
    backup_create_containers: bool = true, Any, "whether a missing container or directory is created";
    backup_max_inflight_chunks: u64 = 64, Between(1, 1024), "objects of one backup or restore that may be on their way at once, as far as link and server call for it; 1 = strictly in turn, as Cinder";
    // Swift
    backup_swift_url: Text = None, Any, "storage URL of per_user mode up to the project id, which is appended as it is";
    backup_swift_auth_url: Text = None, Any, "authentication endpoint of single_user mode";
    swift_catalog_info: String = text("object-store:swift:publicURL"), Any, "type:name:endpoint_type of the catalog entry used when backup_swift_url is unset";
    backup_swift_auth: String = text("per_user"), AUTH_MODES, "whose credentials are used";
    backup_swift_auth_version: String = text("1"), AUTH_VERSIONS, "version of the authentication protocol of single_user mode";
    backup_swift_tenant: Text = None, Any, "project name of authentication version 3 where backup_swift_project is unset";
    backup_swift_user_domain: Text = None, Any, "user's domain name, authentication version 3";
    backup_swift_project_domain: Text = None, Any, "project's domain name, authentication version 3";
    backup_swift_project: Text = None, Any, "project name, authentication version 3";
    backup_swift_user: Text = None, Any, "user name of single_user mode";
    backup_swift_key: Option<Secret> = None, Any, "key or password of single_user mode";
    backup_swift_container: String = text("volumebackups"), NotEmpty, "container of backups that name none";
    backup_swift_create_storage_policy: Text = None, Any, "storage policy of containers that are created";
    backup_swift_object_size: u64 = 52_428_800, Min(1), "bytes of the volume per object";
    backup_swift_block_size: u64 = 32_768, Min(1), "bytes per hash; must divide backup_swift_object_size";
    backup_swift_retry_attempts: u64 = 3, Any, "times a failed request is sent again";
    backup_swift_retry_backoff: u64 = 2, Any, "seconds before a request is sent again, doubling up to 64";
    backup_swift_enable_progress_timer: bool = true, Any, "whether the progress timer sends notes";
    backup_swift_service_auth: bool = false, Any, "whether a service token is sent as well; not supported, must be off";
    backup_swift_region_name: Text = None, Any, "region to choose in a catalog";
    backup_swift_timeout: u64 = 60, Min(1), "seconds without a byte moving after which a request is given up";
    backup_swift_ca_cert_file: Text = None, Any, "file of the certificate authorities to trust; unset = the system's";
    backup_swift_auth_insecure: bool = false, Any, "whether any certificate of an https server is taken";
    // S3
    backup_s3_endpoint_url: Text = None, Any, "URL of the S3 server; buckets are addressed by path";
    backup_s3_store_access_key: Text = None, Any, "access key id";
    backup_s3_store_secret_key: Option<Secret> = None, Any, "secret access key";
    backup_s3_store_bucket: String = text("volumebackups"), NotEmpty, "bucket of backups that name none";
    backup_s3_region_name: String = text("us-east-1"), NotEmpty, "region that requests are signed for, and in which buckets are created";
    backup_s3_object_size: u64 = 52_428_800, Min(1), "bytes of the volume per object";
    backup_s3_block_size: u64 = 32_768, Min(1), "bytes per hash; must divide backup_s3_object_size";
    backup_s3_enable_progress_timer: bool = true, Any, "whether the progress timer sends notes";
    backup_s3_http_proxy: Text = None, Any, "proxy of http URLs; not supported, must be empty";
    backup_s3_https_proxy: Text = None, Any, "proxy of https URLs; not supported, must be empty";
    backup_s3_timeout: f64 = 60.0, Above(0), "seconds without a byte moving after which a request is given up";
    backup_s3_max_pool_connections: u64 = 10, Min(1), "idle connections that are kept; as many as backup_max_inflight_chunks at least, if that is above 1";
    backup_s3_retry_max_attempts: u64 = 4, Any, "times a failed request is sent again";
    backup_s3_retry_mode: String = text("legacy"), RETRY_MODES, "waits before a request is sent again: legacy = 2 s, doubling up to 64; standard = a random share of 1 s, doubling up to 20; adaptive = as standard, and every request waits while the server throttles one";
    backup_s3_verify_ssl: bool = true, Any, "whether the certificate of an https server is checked";
    backup_s3_ca_cert_file: Text = None, Any, "file of the certificate authorities to trust; unset = the system's";
    backup_s3_md5_validation: bool = true, Any, "whether puts carry Content-MD5";
    backup_s3_sse_customer_key: Option<Secret> = None, Any, "key of 32 characters with which the server encrypts objects (SSE-C); needs backup_s3_sse_customer_algorithm";
    backup_s3_sse_customer_algorithm: Text = None, Any, "algorithm of that encryption, AES256; needs backup_s3_sse_customer_key";
    // POSIX
    backup_file_size: u64 = 1_999_994_880, Min(1), "bytes of the volume per file";
    backup_sha_block_size_bytes: u64 = 32_768, Min(1), "bytes per hash; must divide backup_file_size";
    backup_enable_progress_timer: bool = true, Any, "whether the progress timer sends notes";
    backup_posix_path: String = text("$state_path/backup"), NotEmpty, "root directory of the repository";
    backup_posix_host_bound: bool = false, Any, "whether the repository is a disk of this host only, not one that all backup hosts share";
    backup_container: Text = None, Any, "directory of backups that name none, below backup_posix_path";
}

/// Deprecated names and the options they stand for.
pub(super) const ALIASES: &[(&str, &str)] =
    &[("backup_driver_status_check_interval", "backup_driver_stats_polling_interval")];

/// Options that stand in a section of their own.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("oslo_messaging_notifications", "topics"),
    ("oslo_messaging_rabbit", "amqp_durable_queues"),
    ("oslo_messaging_rabbit", "heartbeat_timeout_threshold"),
    ("oslo_messaging_rabbit", "ssl"),
    ("oslo_messaging_rabbit", "ssl_ca_file"),
];

/// Families and names of Cinder's backup options that nothing here reads: a file may carry them.
pub(super) const ELSEWHERE: &[&str] = &[
    "backup_api_class",
    "backup_ceph_",
    "backup_gcs_",
    "backup_manager",
    "backup_mount_attempts",
    "backup_mount_options",
    "backup_mount_point_base",
    "backup_share",
    "backup_use_temp_snapshot",
];
