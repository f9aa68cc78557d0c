//! Real Cinder in a virtual environment: made once, used again.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::time::timeout;

/// The exact set of packages.
const REQUIREMENTS: &str = include_str!("../../scripts/cinder/requirements.txt");
/// Holds the requirements that were installed; written last.
const MARK: &str = "clinker-requirements.txt";
const MAKE: Duration = Duration::from_secs(300);
const INSTALL: Duration = Duration::from_secs(1800);

/// A virtual environment with Cinder in it.
pub struct Venv(PathBuf);

impl Venv {
    pub fn python(&self) -> PathBuf {
        self.0.join("bin/python")
    }

    /// Of what decides about the bytes, in words.
    pub async fn versions(&self) -> anyhow::Result<String> {
        let program = "import importlib.metadata as m, platform\n\
                       print('Python', platform.python_version(), *(f', {n} {m.version(n)}' for n in ('cinder', 'boto3', 'zstd')), sep=' ')";
        let output = run(Command::new(self.python()).args(["-c", program]), MAKE).await.context("ask for versions")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().replace(" ,", ","))
    }
}

/// Where build products belong.
pub fn target() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate of a workspace").join("target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from).join("clinker")
}

/// The environment in `folder` with the requirements installed: at once if they are, else within some minutes.
pub async fn ready(folder: Option<&Path>, python: &Path) -> anyhow::Result<Venv> {
    let folder = folder.map_or_else(|| target().join("cinder"), Path::to_path_buf);
    let folder = std::path::absolute(&folder).with_context(|| format!("find {}", folder.display()))?;
    let (venv, mark) = (Venv(folder.clone()), folder.join(MARK));
    if venv.python().exists() && std::fs::read_to_string(&mark).is_ok_and(|found| found == REQUIREMENTS) {
        return Ok(venv);
    }
    eprintln!("installing Cinder in {} (about two minutes, once)", folder.display());
    // Without pip it was left half made.
    if !folder.join("bin/pip").exists() {
        make(&folder, python).await?;
    }
    install(&venv, &folder).await?;
    std::fs::write(&mark, REQUIREMENTS).with_context(|| format!("write {}", mark.display()))?;
    Ok(venv)
}

async fn make(folder: &Path, python: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(python);
    command.args([OsStr::new("-m"), OsStr::new("venv"), folder.as_os_str()]);
    run(&mut command, MAKE).await.with_context(|| {
        format!(
            "make a virtual environment with {}: it must be Python 3.11 or later with the module venv \
             (Debian and Ubuntu: apt-get install python3-venv; another one: --python)",
            python.display()
        )
    })?;
    Ok(())
}

async fn install(venv: &Venv, folder: &Path) -> anyhow::Result<()> {
    let list = folder.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS).with_context(|| format!("write {}", list.display()))?;
    let mut command = Command::new(venv.python());
    command.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r"]).arg(&list);
    run(&mut command, INSTALL).await.with_context(|| {
        format!(
            "install Cinder in {}: the packages come from PyPI (elsewhere: PIP_INDEX_URL); where there is no network, \
             give a ready environment by --venv or CLINKER_CINDER_VENV",
            folder.display()
        )
    })?;
    Ok(())
}

/// Runs a command to its end; fails with the end of what it said.
async fn run(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let child = child.context("it does not start")?;
    let Ok(output) = timeout(limit, child.wait_with_output()).await else {
        bail!("no end within {} s", limit.as_secs());
    };
    let output = output.context("it cannot be waited for")?;
    if !output.status.success() {
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        bail!("{}\n{}", output.status, lines[lines.len().saturating_sub(8)..].join("\n"));
    }
    Ok(output)
}
