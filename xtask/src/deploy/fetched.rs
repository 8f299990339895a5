//! Tools of others, fetched below the target directory and installed nowhere.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::Cmd;
use crate::project::Project;

/// Prometheus' library for Python, as a wheel: a file that Python imports from.
const PROMETHEUS_CLIENT: &str = "prometheus_client.whl";
/// Without a network the tests go on without the tools, and soon.
const QUICK_TO_GIVE_UP: [&str; 6] =
    ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15"];
const KUBERNETES_VALIDATE: &str = "kubernetes-validate==1.37.0";

/// What the tests of metrics use if it is there. What can't be fetched is told: the tests then do without.
pub(crate) fn for_tests(project: &Project) {
    for (what, fetched) in [("promtool", promtool(project)), (PROMETHEUS_CLIENT, prometheus_client(project))]
    {
        if let Err(error) = fetched {
            eprintln!("{what} could not be fetched, and no test uses it: {error:#}");
        }
    }
}

/// The folder with the fetched tools.
fn tools(project: &Project) -> Result<PathBuf> {
    let tools = project.target.join("tools");
    fs::create_dir_all(&tools).with_context(|| format!("make {}", tools.display()))?;
    Ok(tools)
}

/// Prometheus' tool for rules, out of Debian's package.
///
/// # Errors
/// If this is not Debian, or the package can't be downloaded.
pub(crate) fn promtool(project: &Project) -> Result<PathBuf> {
    out_of_debian(project, "prometheus", "19 MB", "usr/bin/promtool")
}

/// The web server nginx, out of Debian's package.
///
/// # Errors
/// If this is not Debian, or the package can't be downloaded.
pub(crate) fn nginx(project: &Project) -> Result<PathBuf> {
    out_of_debian(project, "nginx", "1 MB", "usr/sbin/nginx")
}

/// Tries to download a package of Debian's, after an update of what is known if need be: what would be downloaded from where
/// is known without a network as well.
///
/// # Errors
/// If this is not Debian, or there is no network.
pub(crate) fn can_be_fetched(project: &Project, package: &str) -> Result<()> {
    let folder = tools(project)?.join("tried");
    fs::create_dir_all(&folder)?;
    let apt = || Cmd::new("apt-get").dir(&folder).args(QUICK_TO_GIVE_UP).arg("-qq");
    let download = || apt().args(["download", package]).output();
    let downloaded = download().or_else(|_| {
        apt().arg("update").output()?;
        download()
    });
    fs::remove_dir_all(&folder)?;
    downloaded.map(drop)
}

/// A program out of one of Debian's packages.
fn out_of_debian(project: &Project, package: &str, size: &str, path: &str) -> Result<PathBuf> {
    let tools = tools(project)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let program = tools.join(name);
    if program.exists() {
        return Ok(program);
    }
    eprintln!("fetching Debian's {package} into {} (once, {size})", project.short(&tools));
    let unpacked = tools.join(format!("{package}.unpacked"));
    fs::create_dir_all(&unpacked)?;
    let apt = || Cmd::new("apt-get").dir(&unpacked).args(QUICK_TO_GIVE_UP);
    let download = || apt().args(["-qq", "download", package]).output();
    // A machine that was never updated knows of no package.
    download().or_else(|_| {
        apt().args(["-qq", "update"]).output()?;
        download()
    })?;
    let packages = fs::read_dir(&unpacked)?.flatten().map(|file| file.path());
    let file = packages.filter(|path| path.extension().is_some_and(|end| end == "deb")).last();
    let file = file.context("apt-get downloaded no package")?;
    Cmd::new("dpkg-deb").arg("--extract").arg(&file).arg(&unpacked).output()?;
    // Moved when it is whole.
    fs::rename(unpacked.join(path), &program).with_context(|| format!("take {name} out of the package"))?;
    fs::remove_dir_all(&unpacked)?;
    Ok(program)
}

/// The wheel of `prometheus_client`.
///
/// # Errors
/// If there is no pip, or the wheel can't be downloaded.
pub(crate) fn prometheus_client(project: &Project) -> Result<PathBuf> {
    let tools = tools(project)?;
    let wheel = tools.join(PROMETHEUS_CLIENT);
    if wheel.exists() {
        return Ok(wheel);
    }
    let download = tools.join("wheel");
    let pip = Cmd::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--retries=1", "--timeout=15", "--no-deps", "--dest"])
        .arg(&download);
    pip.arg("prometheus-client==0.26.0").output()?;
    let file = fs::read_dir(&download)?.flatten().next().context("pip downloaded nothing")?;
    fs::rename(file.path(), &wheel)?;
    fs::remove_dir_all(&download)?;
    Ok(wheel)
}

/// The validator of Kubernetes' resources, in an environment of its own.
///
/// # Errors
/// If there is no Python, or it can't be installed.
pub(crate) fn kubernetes_validate(project: &Project) -> Result<PathBuf> {
    let environment = tools(project)?.join("kubernetes-validate");
    let program = environment.join("bin/kubernetes-validate");
    if program.exists() {
        return Ok(program);
    }
    eprintln!("installing {KUBERNETES_VALIDATE} below {} (once, 23 MB)", project.short(&environment));
    Cmd::new("python3").args(["-m", "venv"]).arg(&environment).output()?;
    let pip = Cmd::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet"]);
    pip.arg(KUBERNETES_VALIDATE).output()?;
    Ok(program)
}
