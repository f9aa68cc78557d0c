//! `clinker matrix` as its users meet it: the table, exit codes, and plays that fail and are played again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A base that no play can satisfy: the service is to be down.
const WRONG: &str = r#"
about = "A base whose expectation is wrong."
drivers = ["posix"]
options.backup_periodic_initialization = true
end = "30s"
[expect]
service = [ { at = "25s", is = "down" } ]
"#;

fn place(test: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("matrix-{test}"));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("scenarios/matrix")).unwrap();
    fs::write(root.join("scenarios/matrix/init.toml"), WRONG).unwrap();
    root
}

fn clinker(root: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_clinker")).current_dir(root).args(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[test]
fn the_table_says_how_many_plays_passed() {
    let root = place("table");
    let (code, printed) =
        clinker(&root, &["matrix", "--driver", "posix", "--area", "init", "--victim", "manager", "--every", "5"]);
    assert_eq!(code, Some(0), "{printed}");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    assert!(
        printed.lines().map(cells).any(|row| row.starts_with(&["".into(), "init".into(), "manager".into()])),
        "{printed}"
    );
    assert!(printed.contains(" 0 failed"), "{printed}");
}

#[test]
fn a_play_that_fails_is_kept_and_can_be_played_again() {
    let root = place("red");
    let plays = ["--scenarios", "scenarios", "matrix", "--driver", "posix", "--area", "init", "--every", "40"];
    let (code, printed) = clinker(&root, &plays);
    assert_eq!(code, Some(1), "{printed}");
    let replay = printed.lines().rev().find_map(|line| line.strip_prefix("clinker replay ")).unwrap();
    assert!(root.join(replay).join("history.jsonl").is_file(), "{printed}");
    let (code, again) = clinker(&root, &["replay", replay]);
    assert_eq!(code, Some(1), "{again}");
    assert!(!again.contains("differs from the one recorded"), "{again}");
}

#[test]
fn an_operation_that_there_is_not_is_an_error() {
    let root = place("unknown");
    let (code, printed) = clinker(&root, &["matrix", "--area", "destroy"]);
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("clean-up-create"), "{printed}");
    let (code, printed) = clinker(&root, &["--scenarios", "scenarios", "matrix", "--area", "delete"]);
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("matrix/delete"), "{printed}");
}
