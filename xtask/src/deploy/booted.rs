//! The package and its unit under a systemd that has booted: what `systemd-analyze` can't show. By hand, as root: it makes a
//! small Debian and boots it with systemd-nspawn.

mod checks;
mod machine;

use anyhow::{Result, bail};

use super::packages;
use crate::debian;
use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;
use machine::Machine;

/// Tries the package of the node that is there, a step each.
///
/// # Errors
/// Without root, or when the machine can't be made or does not boot.
pub(crate) fn try_unit(project: &Project, report: &mut Report, debug: bool) -> Result<()> {
    if Cmd::new("id").arg("-u").output()? != "0" {
        bail!("booting a systemd of one's own takes root; `cargo xtask deploy` checks the units without");
    }
    if !Cmd::new("systemd-nspawn").arg("--version").works()
        || !Cmd::new("debootstrap").arg("--version").works()
    {
        debian::install_containers()?;
    }
    let package = packages::debian(project, debug)?;
    // The package may be built without the devnet.
    let devnet = packages::program(project, debug, packages::Devnet::With)?;
    let machine =
        Machine::boot(project, &[(&package, "root/posemesh-node.deb"), (&devnet, "opt/posemesh-node")])?;
    for check in checks::ALL {
        let done = report.step(check.what, || {
            let said = machine.run(check.script)?;
            said.lines().for_each(|line| eprintln!("  {line}"));
            Ok(())
        });
        if done.is_none() {
            let log =
                machine.run("journalctl -u posemesh-node -o cat --no-pager | tail -20").unwrap_or_default();
            eprintln!("{log}");
            // What follows needs it.
            return Ok(());
        }
    }
    Ok(())
}
