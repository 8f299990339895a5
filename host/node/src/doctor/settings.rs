//! The settings: what is wrong with them, and what was set at all.

use super::finding::{Area, Finding, Report};
use crate::config::{Config, Environment, Problems, SettingSource, misspelt};

/// Tells of a configuration that can't be read.
pub(super) fn problems(environment: &Environment, problems: &Problems, report: Report<'_>) {
    for problem in &problems.0 {
        // Says what is allowed.
        report(Finding::error(Area::Settings, problem, ""));
    }
    misspelt_variables(environment, report);
    report(Finding::warning(
        Area::Settings,
        "folders, machine, servers and runners were not looked at",
        "correct the settings and ask again; docs/configuration.md has every variable with what is allowed",
    ));
}

pub(super) fn examine(environment: &Environment, config: &Config, report: Report<'_>) {
    let all = config.effective();
    let set = all.iter().filter(|setting| setting.source != SettingSource::Default).count();
    report(Finding::ok(Area::Settings, format_args!("{} settings are valid, {set} of them set", all.len())));
    misspelt_variables(environment, report);
    for warning in config.warnings() {
        // Says what helps.
        report(Finding::warning(Area::Settings, warning, ""));
    }
}

fn misspelt_variables(environment: &Environment, report: Report<'_>) {
    for variable in misspelt(environment) {
        report(Finding::warning(Area::Settings, variable, "rename it, or unset it if it is not the node's"));
    }
}
