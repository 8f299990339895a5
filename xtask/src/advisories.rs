//! The advisories against our dependencies, as far as their database can be had: it is fetched from the network, and a
//! build must not fail because a machine has none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Cmd;
use crate::project::Project;

/// The environment variable with a clone of the database of advisories (github.com/rustsec/advisory-db).
pub(crate) const DATABASE: &str = "ADVISORY_DB";
/// Where cargo-deny fetches it from.
const NETWORKS: &str = "https://github.com/RustSec/advisory-db";
/// How long fetching the database may take.
const FETCH_LIMIT: Duration = Duration::from_secs(90);

/// Checks the lock file against the advisories; says why if they can't be had.
///
/// # Errors
/// If a dependency has an advisory, or `ADVISORY_DB` names no such database.
pub(crate) fn check(project: &Project, cargo_deny: &Path) -> Result<()> {
    let folder = std::env::var_os(DATABASE).filter(|folder| !folder.is_empty());
    let local = match &folder {
        Some(folder) => Some(LocalDatabase::of(project, Path::new(folder))?),
        None => None,
    };
    let deny = |arguments: &[&str]| {
        let command = Cmd::new(cargo_deny).dir(&project.root);
        let command = match &local {
            Some(local) => local.instead_of_the_networks(command),
            None => command,
        };
        command.arg("--locked").args(arguments)
    };
    let fetched = deny(&["fetch", "db"]).time_limit(FETCH_LIMIT).run();
    match fetched {
        Err(error) if folder.is_none() => {
            eprintln!(
                "advisories are not checked: their database can't be fetched here ({error:#}); \
                 {DATABASE}=FOLDER names a clone of github.com/rustsec/advisory-db to be used instead"
            );
            return Ok(());
        }
        fetched => fetched.with_context(|| format!("read the database of advisories in {DATABASE}"))?,
    };
    deny(&["--offline", "check", "advisories"])
        .cure("update the crate, or say in deny.toml, [advisories], why its advisory does not concern us")
        .run()
}

/// A clone of the database on this machine.
struct LocalDatabase {
    folder: PathBuf,
    config: PathBuf,
}

impl LocalDatabase {
    fn of(project: &Project, folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("{DATABASE}={}", folder.display()))?;
        let text = std::fs::read_to_string(project.root.join("deny.toml")).context("read deny.toml")?;
        // Apart from the copy of the network's database, which other projects use.
        let text = configured(&text, &project.target.join("advisory-db"))?;
        let config = project.target.join("deny-with-database.toml");
        std::fs::write(&config, text).context("write the configuration of cargo-deny")?;
        Ok(Self { folder, config })
    }

    /// cargo-deny takes no address without a host; git, by which it fetches, can be told of another place for one.
    fn instead_of_the_networks(&self, command: Cmd) -> Cmd {
        command
            .env_hidden("GIT_CONFIG_COUNT", "1")
            .env_hidden("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", self.folder.display()))
            .env_hidden("GIT_CONFIG_VALUE_0", NETWORKS)
            .arg("--config")
            .arg(&self.config)
    }
}

/// The configuration with the copy of the database in a folder of its own.
fn configured(text: &str, copy: &Path) -> Result<String> {
    const TABLE: &str = "[advisories]\n";
    let path = format!("{TABLE}db-path = \"{}\"\n", copy.display());
    text.contains(TABLE)
        .then(|| text.replacen(TABLE, &path, 1))
        .context("deny.toml has no table [advisories]")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_local_database_takes_the_place_of_the_networks() {
        let text = configured("[graph]\n\n[advisories]\nyanked = \"deny\"\n", Path::new("/srv/db")).unwrap();
        assert_eq!(text, "[graph]\n\n[advisories]\ndb-path = \"/srv/db\"\nyanked = \"deny\"\n");
        assert!(configured("[graph]\n", Path::new("/srv/db")).is_err());
        let ours = include_str!("../../deny.toml");
        configured(ours, Path::new("/srv/db")).unwrap();
    }
}
