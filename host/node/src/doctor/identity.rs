//! Who the node is, and where its secrets come from. None of them is shown.

use posemesh_text::REDACTED;

use super::finding::{Area, Finding, Report};
use crate::auth::identity::Identity;
use crate::config::Config;

pub(super) fn examine(config: &Config, report: Report<'_>) {
    let who = match &config.membership.identity {
        Identity::Wallet { wallet, .. } => format!("a wallet with the address {}", wallet.address()),
        Identity::Robot { .. } => "a robot".to_owned(),
    };
    let secrets = config.effective().iter().filter(|setting| setting.value.starts_with(REDACTED));
    let from: Vec<String> = secrets.map(|setting| format!("{} ({})", setting.name, setting.source)).collect();
    report(Finding::ok(Area::Identity, format_args!("the node is {who}; its secrets: {}", from.join(", "))));
}
