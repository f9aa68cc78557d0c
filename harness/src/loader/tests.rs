//! Scenarios as text: what their plans are, and what is said of wrong ones.

use super::*;

const OPTIONS: &[&str] = &[
    "backup_periodic_initialization",
    "backup_swift_url",
    "backup_swift_object_size",
    "backup_file_size",
    "periodic_interval",
    "backup_compression_algorithm",
];

const EXAMPLE: &str = r#"about = "The store refuses at start; the service is down; it heals, comes up, and one backup works."
drivers = ["swift", "swift-v3"]
options.backup_periodic_initialization = true

[[fault]]
at = "0s"
until = "130s"
refuse = { host = "store" }

[[do]]
at = "200s"
create = { volume = "vol-1", as = "first" }

[expect]
service = [ { at = "10s", is = "down" }, { by = "185s", is = "up" } ]
"#;

fn scenario(text: &str) -> Scenario {
    load("x.toml", text, OPTIONS).unwrap_or_else(|error| panic!("{error}"))
}

/// The example with one piece of it replaced.
fn check(piece: &str, by: &str, expected: &str) {
    assert!(EXAMPLE.contains(piece), "{piece:?} is in the example");
    let text = EXAMPLE.replacen(piece, by, 1);
    let error = load("x.toml", &text, OPTIONS).expect_err(by).to_string();
    assert!(error.contains(expected), "{by}\nexpected: {expected}\nobserved: {error}");
}

#[test]
fn the_example_becomes_a_plan() {
    let plan = plan(&scenario(EXAMPLE), "init/heals", "swift-v3", 7).expect("it runs for swift-v3");
    assert_eq!(plan.heal, clinker_model::Span::secs(130));
    assert_eq!(plan.end, clinker_model::Span::secs(800));
    assert!(!plan.fixed_end);
    assert_eq!(plan.options["backup_periodic_initialization"], "true");
    assert_eq!(plan.options["backup_swift_auth_url"], "http://keystone:5000/v3");
    assert_eq!(plan.options["backup_swift_object_size"], "65536");
    assert_eq!(plan.options["periodic_fuzzy_delay"], "0");
    let volume = &plan.volumes[0];
    // 8 chunks of 64 KiB and the tail: 524,288 + 12,345
    assert_eq!((volume.name.as_str(), volume.size.0), ("vol-1", 536_633));
    assert_eq!(plan.steps[0].step.name(), "create");
}

#[test]
fn volume_ids_depend_on_seed_and_name_alone() {
    let id = |seed| plan(&scenario(EXAMPLE), "x", "swift", seed).expect("it runs for swift").volumes[0].id.clone();
    assert_eq!(id(7), id(7));
    assert_ne!(id(7), id(8));
    let id = id(7);
    assert_eq!((id.len(), &id[14..15]), (36, "4"));
    assert!("89ab".contains(&id[19..20]), "{id}");
}

#[test]
fn a_drivers_own_options_win() {
    let text = EXAMPLE.replace(
        "options.backup_periodic_initialization = true",
        "options.periodic_interval = 5\noptions.swift.periodic_interval = 6\noptions.swift.backup_swift_object_size = 8192",
    );
    let plan_of = |driver| plan(&scenario(&text), "x", driver, 1).expect("it runs for both");
    assert_eq!(plan_of("swift").options["periodic_interval"], "6");
    assert_eq!(plan_of("swift").chunk.0, 8192);
    assert_eq!(plan_of("swift-v3").options["periodic_interval"], "5");
    assert_eq!(plan_of("swift-v3").chunk.0, 65536);
}

#[test]
fn a_driver_that_is_not_listed_has_no_plan() {
    let error = plan(&scenario(EXAMPLE), "init/heals", "posix", 7).expect_err("posix is not listed").to_string();
    assert_eq!(error, "plan init/heals: it does not run for driver `posix`");
}

#[test]
fn heal_waits_for_restarts_and_ignores_endless_faults() {
    let text = EXAMPLE.replace(
        "refuse = { host = \"store\" }",
        "refuse = { host = \"store\" }\n[[fault]]\nat = \"140s\"\ncrash = { host = \"db\", restart_after = \"20s\" }\n\
         [[fault]]\nat = \"300s\"\nlag = { by = \"5s\" }",
    );
    let plan = plan(&scenario(&text), "x", "swift", 1).expect("it runs for swift");
    assert_eq!(plan.heal, clinker_model::Span::secs(160));
    assert_eq!(plan.end, clinker_model::Span::secs(900));
}

#[test]
fn an_error_shows_the_place() {
    let text = EXAMPLE.replace("until = \"130s\"", "untill = \"130s\"");
    let error = load("init/x.toml", &text, OPTIONS).expect_err("the field is unknown").to_string();
    assert_eq!(
        error,
        "init/x.toml:7:1: unknown field `untill`; did you mean `until`?\n  7 | untill = \"130s\"\n    | ^^^^^^"
    );
}

#[test]
fn grammar_errors_point_at_the_field() {
    check("about =", "aboot =", "did you mean `about`?");
    check("refuse = {", "refsue = {", "did you mean `refuse`?");
    check("as = \"first\"", "az = \"first\"", "unknown field `az`; did you mean `as`?");
    check("is = \"down\"", "is = \"dwon\"", "unknown value `dwon`; did you mean `down`?");
    check("at = \"200s\"", "at = \"200\"", "\"200\" is not a time such as");
    check("create = { volume = \"vol-1\", as", "create = { as", "missing field `volume`");
    check("[expect]", "[expect", "x.toml:14:8:");
}

#[test]
fn the_frame_is_checked() {
    check("about = \"The", "about = \"\" # \"The", "`about` is empty");
    check("[\"swift\", \"swift-v3\"]", "[]", "`drivers` is empty: name at least one of swift, swift-v3");
    check("\"swift-v3\"]", "\"swfit-v3\"]", "unknown driver `swfit-v3`; did you mean `swift-v3`?");
    check("\"swift-v3\"]", "\"swift\"]", "driver `swift` is listed twice");
    check("\"swift-v3\"]", "\"swift-v3\"]\ncores.db = 0", "`db` has from 1 to 64 cores");
    check("\"swift-v3\"]", "\"swift-v3\"]\ncores.backup-host-2 = 1", "unknown host `backup-host-2`");
    check("\"swift-v3\"]", "\"swift-v3\"]\nbackup_hosts = 0", "`backup_hosts` is from 1 to 16");
    check("\"swift-v3\"]", "\"swift-v3\"]\nzone.backup-host-2 = \"az-2\"", "unknown backup host `backup-host-2`");
    check("\"swift-v3\"]", "\"swift-v3\"]\nzone.backup-host-1 = \"\"", "a zone has a name");
    check("\"swift-v3\"]", "\"swift-v3\"]\nshared_disk = false", "no repository disk to share for swift, swift-v3");
    check(
        "[[fault]]",
        "[[volume]]\nname = \"v\"\nhost = \"backup-host-3\"\n[[fault]]",
        "unknown backup host `backup-host-3`",
    );
    check("\"swift-v3\"]", "\"swift-v3\"]\ngeometry.chunk = \"10KiB\"", "chunk 10240 is not a multiple of block 4096");
    check("\"swift-v3\"]", "\"swift-v3\"]\nend = \"150s\"", "`end` 150s is before something asked for at 200s");
    check("[[fault]]", "[[volume]]\nname = \"v\"\nstatus = \"avalable\"\n[[fault]]", "did you mean `available`?");
}

#[test]
fn options_are_known_and_used() {
    let option = "options.backup_periodic_initialization = true";
    check(option, "options.backup_periodic_initialisation = true", "did you mean `backup_periodic_initialization`?");
    check(option, "options.backup_file_size = 1", "option `backup_file_size` is not used by swift, swift-v3");
    check(option, "options.posix.backup_file_size = 1", "unknown driver in `options` `posix`");
    check(option, "options.periodic_interval = 1979-05-27", "is a string, number, boolean or list of strings");
}

#[test]
fn faults_have_one_kind_a_target_and_ordered_times() {
    let refuse = "refuse = { host = \"store\" }";
    check(refuse, "", "this fault has no kind");
    check(refuse, "refuse = { host = \"store\" }\nlag = { by = \"5s\" }", "`lag` is a second one");
    check(refuse, "refuse = { host = \"stoer\" }", "unknown host `stoer` for driver swift; did you mean `store`?");
    check(refuse, "refuse = { host = \"keystone\" }", "unknown host `keystone` for driver swift");
    check(refuse, "status = { host = \"broker\", code = 503 }", "`status` needs a server that speaks HTTP");
    check(refuse, "read_only = { host = \"store\" }", "`read_only` needs a repository disk");
    check(refuse, "status = { host = \"db\", code = 503 }", "needs a server that speaks HTTP");
    check(refuse, "status = { host = \"store\", code = 99 }", "`code` 99 is not an HTTP status");
    check(refuse, "lose = { backup = \"frist\", object = \"x\" }", "`lose` happens at a moment: it has no `until`");
    check(refuse, "lose = { backup = \"frist\", object = \"x\" }", "did you mean `first`?");
    check("until = \"130s\"", "until = \"0s\"", "`until` 0s is not after `at` 0s");
}

#[test]
fn a_repository_disk_has_the_faults_of_a_disk() {
    let on_disk = |fault: &str| {
        let text = EXAMPLE.replace("[\"swift\", \"swift-v3\"]", "[\"posix\"]");
        load("x.toml", &text.replace("refuse = { host = \"store\" }", fault), OPTIONS)
            .map_err(|error| error.to_string())
    };
    for fault in ["read_only = { host = \"store\" }", "silent = { host = \"store\" }", "full = { after = \"1MiB\" }"] {
        on_disk(fault).unwrap_or_else(|error| panic!("{error}"));
    }
    for fault in [
        "refuse = { host = \"store\" }",
        "status = { host = \"store\", code = 503 }",
        "pause = { host = \"store\" }",
        "one_way = { from = \"backup-host-1\", to = \"store\" }",
        "bandwidth = { host = \"store\", bytes_per_second = 1024 }",
        "latency = { host = \"store\", by = \"1s\" }",
        "loss = { host = \"store\", percent = 1.0 }",
        "reset = { host = \"store\" }",
        "dns = { host = \"store\", answer = \"nxdomain\" }",
        "crash = { host = \"store\", restart_after = \"1s\", power = true }",
    ] {
        let error = on_disk(fault).expect_err(fault);
        assert!(error.contains("does not apply to `store` of posix, a disk"), "{error}");
    }
}

#[test]
fn faults_of_tokens_mean_nothing_to_a_server_that_issues_none() {
    for fault in ["revoke_tokens = { host = \"store\" }", "expire_tokens = { host = \"s3\", after = \"10s\" }"] {
        let text = EXAMPLE.replace("[\"swift\", \"swift-v3\"]", "[\"s3\"]").replace("until = \"130s\"\n", "");
        let error = load("x.toml", &text.replace("refuse = { host = \"store\" }", fault), OPTIONS).expect_err(fault);
        let name = fault.split(' ').next().unwrap();
        assert!(
            error.to_string().contains(&format!("`{name}` means nothing to s3: its server issues no tokens")),
            "{error}"
        );
    }
}

#[test]
fn faults_of_links_and_names_say_what_they_do() {
    // The problem is at the last `place` in the fault.
    let point = |fault: &str, place: &str, expected: &str| {
        let column = fault.rfind(place).expect("the place is in the fault") + 1;
        check("refuse = { host = \"store\" }", fault, &format!("x.toml:8:{column}: {expected}"));
    };
    let one_way = |from: &str, to: &str| format!("one_way = {{ from = \"{from}\", to = \"{to}\" }}");
    point(&one_way("store", "store"), "to =", "`to` is the host that `from` is, for driver swift");
    point(&one_way("swift", "store"), "to =", "`to` is the host that `from` is, for driver swift");
    point(&one_way("api", "dv"), "to =", "unknown host `dv` for driver swift; did you mean `db`?");
    point(&one_way("bd", "db"), "from =", "unknown host `bd` for driver swift; did you mean `db`?");
    point("bandwidth = { host = \"db\", bytes_per_second = 0 }", "bytes", "`bytes_per_second` is at least 1");
    for latency in ["latency = { host = \"db\" }", "latency = { host = \"db\", by = \"0s\", jitter = \"0s\" }"] {
        point(latency, "latency", "`latency` needs a `by` or a `jitter`");
    }
    for percent in ["0.0", "-1.0", "100.1", "nan"] {
        let loss = format!("loss = {{ host = \"db\", percent = {percent} }}");
        point(&loss, "percent", &format!("`percent` {} is not", percent.trim_end_matches(".0").replace("nan", "NaN")));
    }
    point("dns = { host = \"store\", answer = \"right\" }", "answer", "the right answer at once is no fault");
    point(
        "dns = { host = \"store\", answer = \"servfial\" }",
        "\"servfial\"",
        "unknown value `servfial`; did you mean",
    );
    point("dns = { host = \"api\", answer = \"silent\" }", "host", "`dns` needs a host that others connect to");
    point("reset = { host = \"backup-host-1\" }", "host =", "`reset` needs a host that others connect to");
    point("pause = { host = \"backup-host-2\" }", "host =", "unknown host `backup-host-2` for driver swift");
    point("reset = { host = \"collector\" }", "host =", "`reset` needs a host that others connect to");
}

#[test]
fn faults_of_links_names_and_machines_are_taken() {
    for fault in [
        "one_way = { from = \"store\", to = \"backup-host-1\" }",
        "bandwidth = { host = \"store\", bytes_per_second = 1 }",
        "latency = { host = \"api\", jitter = \"1ms\" }",
        "loss = { host = \"volume\", percent = 100.0 }",
        "loss = { host = \"volume\", percent = 1 }",
        "dns = { host = \"store\", answer = \"right\", delay = \"1ms\" }",
        "dns = { host = \"db\", answer = \"stale\" }",
        "reset = { host = \"store\", after = \"1KiB\" }",
        "pause = { host = \"api\" }",
    ] {
        scenario(&EXAMPLE.replace("refuse = { host = \"store\" }", fault));
    }
    for power in ["power = true", "power = true, point = \"db.op_begin\""] {
        let crash = format!("crash = {{ host = \"backup-host-1\", restart_after = \"1s\", {power} }}");
        scenario(&EXAMPLE.replace("until = \"130s\"\nrefuse = { host = \"store\" }", &crash));
    }
}

#[test]
fn steps_have_one_kind_and_names_that_exist() {
    let create = "create = { volume = \"vol-1\", as = \"first\" }";
    let then = |step: &str| format!("{create}\n[[do]]\n{step}");
    check(create, "", "this step has no kind");
    check(create, "delete = { backup = \"first\" }", "no step before this one creates backup `first`");
    check(create, &then("delete = { backup = \"frist\" }"), "did you mean `first`?");
    check(create, &then(create), "backup `first` is created twice");
    check(create, &then("restore = { backup = \"first\" }"), "exactly one of `volume`");
    check(create, &then("restore = { backup = \"first\", volume = \"a\", new = \"b\" }"), "exactly one of `volume`");
    check(create, &then("at = \"1s\"\ndelete = { backup = \"first\" }"), "order steps by time");
    check(create, &then("refused = \"service_dwon\"\ndelete = { backup = \"first\" }"), "did you mean `service_down`?");
    check(create, &then("reset_status = { backup = \"first\", status = \"deleted\" }"), "known are available, error");
    check(create, &then("set = { status = \"error\" }"), "`set` has exactly one of `backup`, `volume` and `snapshot`");
    check(create, &then("set = { volume = \"vol-1\", status = \"in_use\" }"), "did you mean `in-use`?");
}

#[test]
fn expectations_name_what_exists() {
    let expect = "[expect]";
    check(expect, "[expect]\nbackup.frist = \"available\"", "unknown backup `frist`; did you mean `first`?");
    check(expect, "[expect]\nbackup.first = \"avail\"", "unknown backup status `avail`");
    check(expect, "[expect]\nvolume.vol-2 = \"available\"", "did you mean `vol-1`?");
    check(expect, "[expect]\nchecks = [\"progres\"]", "unknown check `progres`; did you mean `progress`?");
    check(expect, "[expect]\nattempts = [\"60s\", \"0s\"]", "rising order");
    check("at = \"10s\", is", "is", "exactly one of `at`");
    check("is = \"down\"", "is = \"down\", host = \"backup-host-2\"", "did you mean `backup-host-1`?");
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let text = EXAMPLE.replace("swift-v3", "swfit-v3").replace("\"130s\"", "\"0s\"");
    let error = load("x.toml", &text, OPTIONS).expect_err("two things are wrong");
    let lines: Vec<usize> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 7]);
}

#[test]
fn the_reference_lists_every_fault_check_step_and_preset() {
    let reference = include_str!("../../../docs/scenario-format.md");
    let section = |title: &str| -> &str {
        let from = reference.find(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}")) + 1;
        reference[from..].split("\n## ").next().unwrap_or_default()
    };
    let rows = |title: &str, name: &str| section(title).matches(&format!("\n| `{name}` | ")).count();
    for name in clinker_model::Fault::NAMES {
        assert_eq!(rows("Faults", name), 1, "fault {name}");
    }
    for checker in clinker_judge::CHECKERS {
        assert_eq!(rows("Checks", checker.name), 1, "check {}", checker.name);
    }
    for step in [
        "create",
        "restore",
        "delete",
        "force_delete",
        "reset_status",
        "write",
        "set",
        "service_list",
        "quota",
        "messages",
    ] {
        assert_eq!(rows("Steps", step), 1, "step {step}");
    }
    for name in presets::names() {
        assert!(reference.contains(&format!("`{name}`")), "preset {name}");
    }
}

#[test]
fn the_references_example_is_the_one_tested_here() {
    assert!(include_str!("../../../docs/scenario-format.md").contains(EXAMPLE));
}

#[test]
fn what_could_never_work_is_pointed_at() {
    let option = |text: &str| format!("options.{text}");
    let periodic = "options.backup_periodic_initialization = true";
    check(periodic, &option("backup_periodic_initialization = -5"), "x.toml:3:9: ");
    check(periodic, &option("periodic_interval = 0"), "expected a whole number of at least 1");
    check(periodic, &option("periodic_interval = 9223372036854775807"), "is at most 4294967295");
    check(periodic, &option("backup_compression_algorithm = \"lzma\""), "expected one of none");
    check("as = \"first\"", "as = \"\"", "`as` is empty");
    let refuse = "refuse = { host = \"store\" }";
    let crash =
        |point: &str| format!("crash = {{ host = \"backup-host-1\", restart_after = \"1s\", point = \"{point}\" }}");
    check(refuse, &crash("db.op_finsh"), "unknown crash point `db.op_finsh`; did you mean `db.op_finish`?");
    check(refuse, &crash("."), "unknown crash point `.`");
    check(refuse, "skew = { host = \"backup-host-1\", seconds = -9223372036854775808 }", "`seconds` is at most");
    check(refuse, "lag = { by = \"0s\" }", "`by` 0s is no lag");
    check("until = \"130s\"", "until = \"31d1s\"", "2678401s is after 2678400s");
    let taken = "[[do]]\nrestore = { backup = \"first\", new = \"vol-1\" }\n\n[expect]";
    check("[expect]", taken, "volume `vol-1` exists already");
}
