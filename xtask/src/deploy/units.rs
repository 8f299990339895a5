//! The units of systemd: read by systemd, and their locks tried on the node.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::skip::skipped;
use crate::process::{Cmd, Ending};
use crate::project::Project;

const UNITS: [&str; 2] = ["posemesh-node.service", "posemesh-node@.service"];
/// The most that `systemd-analyze security` may find, in tenths: 0 is a service that can do nothing.
const MOST_EXPOSED: &str = "25";
/// What the demo works on.
const SCAN: &str = "tests/data/dragon/dragon_vrip_res4.ply.gz";
/// Anybody without rights, for a try.
const NOBODY: &str = "65534";

pub(super) fn check(project: &Project) -> Result<()> {
    if !Cmd::new("systemd-analyze").arg("--version").works() {
        skipped("units", "systemd-analyze");
        return Ok(());
    }
    let folder = project.target.join("units");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for unit in UNITS {
        let path = project.root.join("deploy/systemd").join(unit);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        // The program and its user are not installed here, and systemd looks for both.
        let here = text.replace("/usr/bin/posemesh-node", "/bin/true").replace("=posemesh\n", "=root\n");
        let copy = folder.join(unit.replace("@.", "@try."));
        fs::write(&copy, here)?;
        // It warns of what it does not know, and succeeds.
        let said = folder.join("said");
        let verified = Cmd::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).run_into(&said)?;
        let said = fs::read_to_string(&said)?;
        if verified != Ending::Success || !said.trim().is_empty() {
            bail!("{unit}: {}", said.trim());
        }
        let security = Cmd::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]);
        let threshold = format!("--threshold={MOST_EXPOSED}");
        security.arg(threshold).arg(&copy).output().context("the unit leaves too much open")?;
    }
    let unit = fs::read_to_string(project.root.join("deploy/systemd").join(UNITS[0]))?;
    if !project.node().exists() || !project.plugins().join("pointcloud.wasm").exists() {
        skipped("the locks of the units", "built node with runners (`cargo xtask demo` builds them)");
        return Ok(());
    }
    without_rights(project)?;
    system_calls(project, &unit)
}

/// The demo, which is a network, a node and a real runner in its sandbox, as a user without any right.
fn without_rights(project: &Project) -> Result<()> {
    let root = Cmd::new("id").arg("-u").output()? == "0";
    if !root || !Cmd::new("setpriv").arg("--version").works() {
        skipped("the demo without rights", "root or setpriv");
        return Ok(());
    }
    let home = tempdir(project, "unit-home")?;
    Cmd::new("chown").arg(NOBODY).arg(&home).output()?;
    let node = home.join("posemesh-node");
    fs::copy(project.node(), &node)?;
    let plugins = home.join("plugins");
    fs::create_dir_all(&plugins)?;
    for entry in fs::read_dir(project.plugins())?.flatten() {
        fs::copy(entry.path(), plugins.join(entry.file_name()))?;
    }
    let scan = home.join("scan.ply.gz");
    fs::copy(project.root.join(SCAN), &scan)?;
    let inside = || {
        Cmd::new("setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"])
            .args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"])
            .arg(&node)
            .dir(&home)
            .env_hidden("HOME", &home)
    };
    let demo = inside().arg("demo").arg("--scan").arg(&scan).arg("--plugins-dir").arg(&plugins);
    let done = demo.output().context("the demo without rights").and_then(|_| {
        // Fails unless all locks of the sandbox can be closed.
        let check = inside().args(["config", "check"]).env_hidden("SANDBOX", "require");
        let check = check.env_hidden("PLUGINS_DIR", &plugins).env_hidden("REG_SECRET", "a secret for a try");
        check.env_hidden("SECP256K1_PRIVHEX", "01".repeat(32)).output().context("the sandbox without rights")
    });
    fs::remove_dir_all(&home)?;
    done.map(|_| ())
}

/// The system calls and the kinds of sockets of the demo against those that the unit allows.
fn system_calls(project: &Project, unit: &str) -> Result<()> {
    if !Cmd::new("strace").arg("-V").works() {
        skipped("the filter of system calls", "strace");
        return Ok(());
    }
    let mut allowed = BTreeSet::new();
    for word in setting(unit, "SystemCallFilter").split_whitespace() {
        allowed.extend(expanded(word)?);
    }
    let home = tempdir(project, "unit-trace")?;
    let trace = home.join("trace");
    let demo = Cmd::new("strace")
        .args(["-f", "-qq", "-s", "16", "-o"])
        .arg(&trace)
        .arg(project.node())
        .arg("demo")
        .arg("--scan")
        .arg(project.root.join(SCAN))
        .arg("--plugins-dir")
        .arg(project.plugins())
        .dir(&home)
        .env_hidden("HOME", &home);
    demo.output().context("the demo under strace")?;
    let trace_text = fs::read_to_string(&trace)?;
    fs::remove_dir_all(&home)?;
    let seen = calls(&trace_text);
    if seen.len() < 30 {
        bail!("strace saw only {} different system calls", seen.len());
    }
    let refused: Vec<_> = seen.iter().filter(|call| !allowed.contains(call.as_str())).cloned().collect();
    if !refused.is_empty() {
        bail!("SystemCallFilter would refuse what the node does: {}", refused.join(", "));
    }
    let families: BTreeSet<&str> = setting(unit, "RestrictAddressFamilies").split_whitespace().collect();
    let sockets = sockets(&trace_text);
    let other: Vec<_> =
        sockets.iter().filter(|family| !families.contains(family.as_str())).cloned().collect();
    if !other.is_empty() {
        bail!("RestrictAddressFamilies would refuse what the node does: {}", other.join(", "));
    }
    eprintln!("{} system calls and {} kinds of sockets, all of them allowed", seen.len(), sockets.len());
    Ok(())
}

fn tempdir(project: &Project, name: &str) -> Result<std::path::PathBuf> {
    // Not below the repository: a user without rights may not come there.
    let dir = std::env::temp_dir().join(format!("posemesh-{name}-{}", std::process::id()));
    let made = fs::create_dir(&dir).with_context(|| format!("make {}", dir.display()));
    made.with_context(|| format!("try a unit of {}", project.short(Path::new("deploy/systemd"))))?;
    Ok(dir)
}

/// The value of a setting of a unit.
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    let value = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default()
}

/// A system call, or all of a set of them, by their names.
fn expanded(word: &str) -> Result<BTreeSet<String>> {
    if !word.starts_with('@') {
        return Ok(BTreeSet::from([word.to_owned()]));
    }
    let printed = Cmd::new("systemd-analyze").args(["syscall-filter", word]).output()?;
    let mut names = BTreeSet::new();
    // Its own name, what it is, and what is in it: calls and other sets.
    for member in printed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if member != word {
            names.extend(expanded(member)?);
        }
    }
    Ok(names)
}

/// The names of the calls in strace's lines of `PID name(…`.
fn calls(trace: &str) -> BTreeSet<String> {
    let names = trace.lines().filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        let name = before.split_whitespace().last()?;
        let starts = name.starts_with(|char: char| char.is_ascii_lowercase() || char == '_');
        let rest = name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_');
        let is_name = starts && rest;
        is_name.then(|| name.to_owned())
    });
    names.collect()
}

/// The families of the sockets that were made.
fn sockets(trace: &str) -> BTreeSet<String> {
    let families = trace.lines().filter_map(|line| line.split_once("socket(AF_")?.1.split([',', ')']).next());
    families.map(|family| format!("AF_{family}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "7 poll(x, 2) = 0 (Timeout)\n7 <... poll resumed>) = 0 (Timeout)\n7 openat(AT_FDCWD, \"x\") = 3\n7 socket(AF_INET, SOCK_STREAM, 0) = 4\n8 <... read resumed>) = 0\n\
                         7 +++ exited with 0 +++\n8 socket(AF_UNIX, SOCK_DGRAM) = 5\n";

    #[test]
    fn calls_and_sockets_are_found_in_a_trace() {
        let found = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>();
        assert_eq!(found(calls(TRACE)), ["openat", "poll", "socket"]);
        assert_eq!(found(sockets(TRACE)), ["AF_INET", "AF_UNIX"]);
    }

    #[test]
    fn each_unit_makes_every_folder_that_the_settings_name() {
        let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd");
        let read = |name: &str| fs::read_to_string(systemd.join(name)).unwrap_or_default();
        let settings = read("posemesh-node.toml");
        let quoted = settings.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix('"'));
        let paths: Vec<&str> = quoted.filter(|value| value.starts_with("/var/")).collect();
        assert_eq!(paths.len(), 5, "{paths:?}");
        for unit in UNITS {
            let text = read(unit);
            let made = |setting_name: &str, at: &str| -> Vec<String> {
                setting(&text, setting_name).split_whitespace().map(|name| format!("{at}/{name}")).collect()
            };
            let made = [
                made("StateDirectory", "/var/lib"),
                made("CacheDirectory", "/var/cache"),
                made("LogsDirectory", "/var/log"),
            ]
            .concat();
            for path in &paths {
                let inside = made.iter().any(|folder| Path::new(path).starts_with(folder));
                assert!(inside, "{unit} lets the node write nowhere above {path}: {made:?}");
            }
        }
    }

    #[test]
    fn the_node_has_less_time_to_end_than_each_unit_gives_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for unit in UNITS {
            let text = fs::read_to_string(root.join("deploy/systemd").join(unit)).unwrap_or_default();
            let seconds: u64 = setting(&text, "TimeoutStopSec").parse().unwrap_or_default();
            // SHUTDOWN_GRACE_SECS and what the end of the process takes beyond it.
            assert!(seconds >= 25 + 5, "{unit}: {seconds}");
            assert_eq!(
                setting(&text, "KillMode"),
                "mixed",
                "{unit}: runners' processes end with their tasks"
            );
        }
    }
}
