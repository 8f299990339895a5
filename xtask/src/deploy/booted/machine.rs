//! A Debian with a systemd that has booted, without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Cmd;
use crate::project::Project;

const SUITE: &str = "bookworm";
const PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,curl,ca-certificates,libgcc-s1";
/// How long it may take to boot, and to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// It ends when this is dropped.
pub(super) struct Machine {
    nspawn: Child,
    /// Its process 1, as it is called here.
    leader: String,
    root: PathBuf,
}

impl Machine {
    /// Makes it, with these files in it, and boots it. The Debian is fetched the first time, and copied each time.
    ///
    /// # Errors
    /// When Debian's mirror or a tool fails, or it has not booted in time.
    pub(super) fn boot(project: &Project, files: &[(&Path, &str)]) -> Result<Self> {
        let folder = project.target.join("booted");
        let (base, root) = (folder.join("debian"), folder.join("machine"));
        if !base.join("etc/debian_version").exists() {
            fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
            let half = folder.join("half");
            remove(&half)?;
            Cmd::new("debootstrap")
                .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
                // From the mirror that it takes by itself.
                .arg(&half)
                .output()
                .context("fetch a small Debian")?;
            fs::rename(&half, &base).with_context(|| format!("rename {}", half.display()))?;
        }
        remove(&root)?;
        Cmd::new("cp").arg("-a").arg(&base).arg(&root).output()?;
        for (from, to) in files {
            let to = root.join(to);
            fs::create_dir_all(to.parent().unwrap_or(&root))?;
            fs::copy(from, &to).with_context(|| format!("copy {}", from.display()))?;
        }
        for entry in
            fs::read_dir(project.plugins()).context("are there runners? `cargo xtask plugins`")?.flatten()
        {
            fs::copy(entry.path(), root.join("opt").join(entry.file_name()))?;
        }
        let nspawn = Command::new("systemd-nspawn")
            .args([
                "--quiet",
                "--boot",
                "--register=no",
                "--keep-unit",
                "--private-network",
                "--console=pipe",
            ])
            .arg("--directory")
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("run systemd-nspawn")?;
        let mut machine = Self { nspawn, leader: String::new(), root };
        let since = Instant::now();
        while !machine.has_booted() {
            if machine.nspawn.try_wait()?.is_some() {
                bail!(
                    "systemd-nspawn has ended; by hand: systemd-nspawn --boot -D {}",
                    machine.root.display()
                );
            }
            if since.elapsed() > PATIENCE {
                bail!("systemd has not booted within {} s", PATIENCE.as_secs());
            }
            sleep(Duration::from_millis(200));
        }
        Ok(machine)
    }

    fn has_booted(&mut self) -> bool {
        let id = self.nspawn.id().to_string();
        let Ok(leader) = Cmd::new("pgrep").args(["--parent", &id]).output() else { return false };
        self.leader = leader.lines().next().unwrap_or_default().to_owned();
        let state = self.inside("systemctl is-system-running || true").output();
        state.is_ok_and(|state| ["running", "degraded"].contains(&state.as_str()))
    }

    /// Runs a script of the shell in it; what it prints.
    ///
    /// # Errors
    /// When a command of it fails.
    pub(super) fn run(&self, script: &str) -> Result<String> {
        self.inside(script).output()
    }

    fn inside(&self, script: &str) -> Cmd {
        let enter = Cmd::new("nsenter").args(["--all", "--target", &self.leader, "--", "/usr/bin/env", "-i"]);
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        enter.args([path, "HOME=/root", "/bin/bash", "-euc"]).arg(script).time_limit(PATIENCE)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It hands the signal on as the wish that the machine ends.
        let _ = Cmd::new("kill").arg(self.nspawn.id().to_string()).output();
        let since = Instant::now();
        while matches!(self.nspawn.try_wait(), Ok(None)) && since.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100));
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        // Nobody can be told; the next try removes it.
        let _ = remove(&self.root);
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
