//! Embeds the scenarios and their goldens, and stamps the build with a hash of the lock file.

use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it"));
    let mut code = String::new();
    embed(&mut code, &root, "scenarios", ".toml", "SCENARIOS");
    embed(&mut code, &root, "snapshots", ".snap", "GOLDENS");
    embed_fixtures(&root.join("drivers/tests/fixtures"), &out.join("fixtures.rs"));
    let lock = root.join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let mut hasher = DefaultHasher::new();
    fs::read(&lock).unwrap_or_default().hash(&mut hasher);
    writeln!(
        code,
        "/// Hash of the lock file this was built with.\npub const LOCK: &str = \"{:016x}\";",
        hasher.finish()
    )
    .expect("writing to a string does not fail");
    fs::write(out.join("embedded.rs"), code).expect("the output folder is writable");
}

/// A table of (`<area>/<name>`, contents) for every file of `folder` that ends so.
fn embed(code: &mut String, root: &Path, folder: &str, ending: &str, table: &str) {
    let top = root.join(folder);
    println!("cargo:rerun-if-changed={}", top.display());
    let mut files = Vec::new();
    for area in entries(&top).into_iter().filter(|path| path.is_dir()) {
        println!("cargo:rerun-if-changed={}", area.display());
        files.extend(entries(&area).into_iter().filter(|path| path.to_string_lossy().ends_with(ending)));
    }
    files.sort();
    writeln!(code, "pub static {table}: &[(&str, &str)] = &[").expect("writing to a string does not fail");
    for file in files {
        let relative = file.strip_prefix(&top).expect("found below it").to_string_lossy().into_owned();
        let name = relative.trim_end_matches(ending);
        let path = fs::canonicalize(&file).expect("it was just listed");
        writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string())
            .expect("writing to a string does not fail");
    }
    code.push_str("];\n");
}

/// A table of (`<fixture>/<path>`, bytes) for every file below `top`.
fn embed_fixtures(top: &Path, target: &Path) {
    println!("cargo:rerun-if-changed={}", top.display());
    let mut files = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut code = String::from("pub static FIXTURES: &[(&str, &[u8])] = &[\n");
    for file in files {
        let relative = file.strip_prefix(top).expect("found below it").to_string_lossy().into_owned();
        let path = fs::canonicalize(&file).expect("it was just listed");
        writeln!(code, "    ({relative:?}, include_bytes!({:?})),", path.display().to_string())
            .expect("writing to a string does not fail");
    }
    code.push_str("];\n");
    fs::write(target, code).expect("the output folder is writable");
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
