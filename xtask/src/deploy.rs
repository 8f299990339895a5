//! `deploy`, `container` and `package`: what lies in deploy/ is checked with the tools that will read it, and what is made
//! from it is tried.

mod booted;
mod container;
mod fetched;
mod manifests;
mod monitoring;
mod packages;
mod proxy;
mod skip;
mod units;

use anyhow::Result;

use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;

pub(crate) use fetched::for_tests as tools_for_tests;
pub(crate) use monitoring::{PROMETHEUS_RULE, prometheus_rule};
pub(crate) use packages::Kind;

/// Checks alert rules, dashboard, units, manifests and the proxy's configuration.
pub(crate) fn check(project: &Project, report: &mut Report) {
    report.step("alert rules and dashboard", || monitoring::check(project));
    report.step("systemd units", || units::check(project));
    report.step("Kubernetes manifests", || manifests::check(project));
    report.step("proxy", || proxy::check(project));
}

/// Makes the root of the container image and tries it.
///
/// # Errors
/// If it can't be made, or the node does not run in it.
pub(crate) fn container(project: &Project, debug: bool) -> Result<()> {
    container::make(project, debug)
}

/// Makes the packages and the root of the container image around the program that was built for the tests, and tries each. A minute;
/// the release itself would take a build of ten.
pub(crate) fn made_of_the_tested(project: &Project, report: &mut Report) {
    let there = |tool: &str| Cmd::new(tool).arg("--version").works();
    for (kind, tool, is_there) in [
        (Kind::Deb, "dpkg-deb", there("dpkg-deb")),
        // Debian's Python comes without what makes an environment.
        (Kind::Wheel, "python3-venv", packages::environments_can_be_made(project)),
        (Kind::Npm, "npm", there("npm")),
    ] {
        if is_there {
            package(project, report, &[kind], true);
        } else {
            skip::skipped(&format!("the {kind:?} package").to_lowercase(), tool);
        }
    }
    report.step("container", || container::make_if_possible(project, true));
}

/// Tries the package and its unit under a systemd that boots for it.
///
/// # Errors
/// Without root, or when it does not boot.
pub(crate) fn booted(project: &Project, report: &mut Report, debug: bool) -> Result<()> {
    booted::try_unit(project, report, debug)
}

/// Makes packages and tries each.
pub(crate) fn package(project: &Project, report: &mut Report, kinds: &[Kind], debug: bool) {
    packages::make(project, report, kinds, debug);
}
