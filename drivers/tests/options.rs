//! Options: limits, spellings, suggestions, files, and that no secret is ever shown.

use clinker_drivers::{Kind, Options};

#[track_caller]
fn check(name: &str, text: &str, expected: &str) {
    let mut options = Options::default();
    let got = match options.set(name, text) {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            assert_eq!(error.kind, Kind::InvalidConfig);
            error.what
        }
    };
    assert_eq!(got, expected, "{name} = {text}");
}

#[test]
fn a_value_out_of_limits_is_refused_with_what_would_be_right() {
    check("backup_initialization_timeout", "1", "ok");
    let least_1 = |found: &str| {
        format!("option backup_initialization_timeout: found \"{found}\", expected a whole number of at least 1")
    };
    for found in ["0", "-5", "", "1.5", "ten"] {
        check("backup_initialization_timeout", found, &least_1(found));
    }
    for (name, least) in [
        ("backup_driver_init_check_interval", 5),
        ("backup_driver_stats_polling_interval", 10),
        ("backup_driver_status_check_interval", 10),
        ("backup_native_threads_pool_size", 20),
        ("backup_workers", 1),
        ("quota_backups", -1),
    ] {
        check(name, &least.to_string(), "ok");
        let below = least - 1;
        let expected = format!("option {name}: found \"{below}\", expected a whole number of at least {least}");
        check(name, &below.to_string(), &expected);
    }
    check(
        "backup_swift_auth",
        "nobody",
        "option backup_swift_auth: found \"nobody\", expected one of per_user, single_user",
    );
    check("backup_posix_path", "", "option backup_posix_path: found \"\", expected a text that is not empty");
}

#[test]
fn a_bool_has_cinders_spellings() {
    for (text, value) in [
        ("true", true),
        ("Yes", true),
        ("1", true),
        ("ON", true),
        ("False", false),
        ("no", false),
        ("0", false),
        ("off", false),
    ] {
        let mut options = Options { backup_use_same_host: !value, ..Options::default() };
        options.set("backup_use_same_host", text).unwrap();
        assert_eq!(options.backup_use_same_host, value, "{text}");
    }
    check("backup_use_same_host", "maybe", "option backup_use_same_host: found \"maybe\", expected true or false");
}

#[test]
fn a_compression_algorithm_is_taken_in_any_letter_case() {
    let mut options = Options::default();
    options.set("backup_compression_algorithm", "ZStd").unwrap();
    assert_eq!(options.backup_compression_algorithm, "zstd");
    assert!(options.set("backup_compression_algorithm", "lzma").is_err());
}

#[test]
fn a_misspelt_name_gets_a_suggestion() {
    check(
        "backup_swift_contaner",
        "x",
        "option backup_swift_contaner: no such option; did you mean backup_swift_container?",
    );
    check("colour", "x", "option colour: no such option");
}

#[test]
fn every_declared_default_is_within_its_own_limits() {
    assert!(Options::default().validate().is_ok());
    for info in Options::table() {
        assert!(!info.help.is_empty() && !info.help.ends_with('.'), "{}", info.name);
        if let Some(default) = &info.default {
            check(info.name, default, "ok");
        }
    }
    let secret: Vec<_> = Options::table().iter().filter(|info| info.secret).map(|info| info.name).collect();
    let known = ["transport_url", "backup_swift_key", "backup_s3_store_secret_key", "backup_s3_sse_customer_key"];
    assert_eq!(secret, known);
}

#[test]
fn a_service_that_is_down_between_heartbeats_is_refused() {
    let mut options = Options { service_down_time: 10, ..Options::default() };
    let error = options.validate().unwrap_err();
    assert_eq!(error.kind, Kind::InvalidConfig);
    assert!(error.what.starts_with("option service_down_time: found 10, expected more than report_interval (10)"));
    options.service_down_time = 11;
    assert!(options.validate().is_ok());
}

#[test]
fn a_wait_that_no_clock_can_count_is_refused() {
    let check = |seconds, expected: Result<(), &str>| {
        let options = Options { periodic_interval: seconds, ..Options::default() };
        assert_eq!(options.validate().map_err(|error| error.what), expected.map_err(str::to_owned), "{seconds}");
    };
    check(3_162_240_000, Ok(()));
    check(u64::MAX, Err("option periodic_interval: found 18446744073709551615, expected at most 3162240000 seconds"));
}

#[test]
fn values_set_directly_are_validated_too() {
    let options = Options { backup_driver_stats_polling_interval: 9, ..Options::default() };
    assert!(options.validate().unwrap_err().what.contains("backup_driver_stats_polling_interval"));
}

#[test]
fn a_cinder_conf_is_read_like_cinder_does() {
    let text = "\
# comment
[DEFAULT]
; comment
host = backup-1
backup_swift_key = 's3cret key'
state_path: /srv/cinder
debug = true
backup_ceph_user = cinder
backup_driver_status_check_interval = 30
swift_catalog_info = object-store
    :swift:publicURL

[lvm]
volume_driver = x
backup_use_temp_snapshot = true
";
    let (options, ignored) = Options::parse_ini(text).unwrap();
    assert_eq!(options.host, "backup-1");
    assert_eq!(options.backup_swift_key.as_ref().unwrap().expose(), "s3cret key");
    assert_eq!(options.backup_driver_stats_polling_interval, 30);
    assert_eq!(options.swift_catalog_info, "object-store\n:swift:publicURL");
    assert_eq!(options.expand(&options.backup_posix_path), "/srv/cinder/backup");
    assert_eq!(ignored, ["debug", "backup_ceph_user", "[lvm] volume_driver", "[lvm] backup_use_temp_snapshot"]);
    assert_eq!(options.secrets(), ["s3cret key"]);
    assert!(!format!("{options:?}").contains("s3cret"));
}

#[test]
fn an_options_own_name_wins_over_its_deprecated_alias() {
    for text in [
        "[DEFAULT]\nbackup_driver_stats_polling_interval=20\nbackup_driver_status_check_interval=30",
        "[DEFAULT]\nbackup_driver_status_check_interval=30\nbackup_driver_stats_polling_interval=20",
    ] {
        assert_eq!(Options::parse_ini(text).unwrap().0.backup_driver_stats_polling_interval, 20);
    }
}

#[test]
fn a_wrong_line_is_named_by_its_number_and_never_shown() {
    for (text, expected) in [
        ("host = a", "line 1: option outside a section; expected [DEFAULT] first"),
        ("[DEFAULT]\n\nhunter2", "line 3: expected `name = value` or `[section]`"),
        ("[DEFAULT", "line 1: section header without a closing bracket"),
        ("[DEFAULT]\n  hunter2 = 2", "line 2: continued line without an option"),
        (
            "[DEFAULT]\nbackup_swift_kye = hunter2",
            "line 2: option backup_swift_kye: no such option; did you mean backup_swift_key?",
        ),
        (
            "[DEFAULT]\nbackup_workers = 0",
            "line 2: option backup_workers: found \"0\", expected a whole number of at least 1",
        ),
    ] {
        let error = Options::parse_ini(text).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidConfig);
        assert_eq!(error.what, expected);
    }
}

#[test]
fn references_expand_to_options_that_may_be_shown() {
    let mut options = Options::default();
    options.set("backup_swift_key", "hunter2").unwrap();
    for (text, expected) in [
        ("$state_path/backup", "/var/lib/cinder/backup"),
        ("${host}x$$y", "localhostx$y"),
        ("$nothing $ ${", "$nothing $ ${"),
        ("$backup_swift_key", "$backup_swift_key"),
    ] {
        assert_eq!(options.expand(text), expected);
    }
}

#[test]
fn options_of_the_message_bus_stand_in_their_sections() {
    let text = "[DEFAULT]\ntransport_url = rabbit://me:open-sesame@broker//\ncontrol_exchange = cinder\nssl = true\n\
                [oslo_messaging_notifications]\ntopics = notifications, audit\ndriver = messagingv2\n\
                [oslo_messaging_rabbit]\namqp_durable_queues = true\nheartbeat_timeout_threshold = 30\n";
    let (options, ignored) = Options::parse_ini(text).unwrap();
    assert_eq!(options.control_exchange, "cinder");
    assert_eq!(options.topics, ["notifications", "audit"]);
    assert!(options.amqp_durable_queues && !options.ssl);
    assert_eq!(options.heartbeat_timeout_threshold, 30);
    assert_eq!(ignored, ["ssl", "[oslo_messaging_notifications] driver"]);
    assert_eq!(options.secrets(), ["rabbit://me:open-sesame@broker//"]);
    assert!(!format!("{options:?}").contains("sesame"));
    let error = Options::default().set("topics", " , ").unwrap_err();
    assert_eq!(error.what, "option topics: found \",\", expected a list that is not empty");
}
