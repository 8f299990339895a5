//! What an operator asks of a node that does not work, or before one is started: is everything there that it needs?
//!
//! Each area is looked at by a file of its own. A look tells of everything that it finds, of what is in order too, and says
//! what helps; it takes no lease, registers nothing and changes nothing, but for the compiled runners that a node would keep
//! in `CACHE_DIR` as well.
//!
//! ```no_run
//! use posemesh_node_core::config::{SettingsFiles, environment};
//! use posemesh_node_core::doctor::{Level, examine};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut errors = 0;
//! let environment = environment(&SettingsFiles::default())?;
//! examine(&environment, &mut |finding| errors += usize::from(finding.level == Level::Error)).await;
//! assert_eq!(errors, 0);
//! # Ok(())
//! # }
//! ```

mod finding;
mod folders;
mod identity;
mod login;
mod machine;
mod reach;
mod runners;
mod running;
mod settings;
mod status;

use crate::config::{Config, Environment};

pub use finding::{Area, Finding, Level, Report};

/// Looks at everything. False if the configuration can't be read, without which the rest can't be looked at.
pub async fn examine(environment: &Environment, report: Report<'_>) -> bool {
    let config = match Config::load(environment) {
        Ok(config) => config,
        Err(problems) => {
            settings::problems(environment, &problems, report);
            return false;
        }
    };
    config.network.clone().install();
    settings::examine(environment, &config, report);
    identity::examine(&config, report);
    folders::examine(&config, report).await;
    machine::examine(&config, report).await;
    status::examine(&config, report).await;
    let token = match reach::examine(Area::Dds, &config.membership.dds_base_url, report).await {
        true => login::with_dds(&config, report).await,
        false => None,
    };
    if reach::examine(Area::Dms, &config.dms_base_url, report).await
        && let Some(token) = token
    {
        login::with_dms(&config, token, report).await;
    }
    runners::examine(&config, report).await;
    true
}
