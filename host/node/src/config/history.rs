//! What is kept of tasks beyond the process.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use crate::archive::ArchiveSettings;

const DATA_DIR: &str = "DATA_DIR";
const OFF: &str = "off";
const DAY_SECS: u64 = 24 * 3600;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> ArchiveSettings {
    let default = ArchiveSettings::default();
    let folder = default_folder(reader.environment());
    let shown = folder.as_ref().map_or_else(|| OFF.to_owned(), |path| path.display().to_string());
    let folder = reader.value(
        &Variable::new(
            Group::Folders,
            DATA_DIR,
            "The history of tasks and of generations of runners (`history.sqlite`), which outlives the node; `off` keeps none. \
             Made for this user alone. Several nodes may share it.",
        )
        .default_in_words("`posemesh-node` in `XDG_DATA_HOME`, or in `HOME/.local/share`"),
        shown,
        "a path, or `off`",
        |text| Ok::<_, String>(text.to_owned()),
    );
    let max_bytes = reader.bytes(
        &Variable::new(
            Group::Folders,
            "HISTORY_MAX_BYTES",
            "The size of the history at most; the oldest entries go first. Beside it lies a log of changes of up to 8 MiB.",
        ),
        default.max_bytes,
        1 << 20..=1 << 40,
    );
    let days = reader.integer(
        &Variable::new(Group::Folders, "HISTORY_DAYS", "How long entries of the history are kept, in days."),
        default.max_age.as_secs() / DAY_SECS,
        1..=3650,
    );
    let folder = Some(folder).filter(|folder| folder != OFF).map(PathBuf::from);
    ArchiveSettings { folder, max_bytes, max_age: Duration::from_secs(days * DAY_SECS) }
}

fn default_folder(environment: &Environment) -> Option<PathBuf> {
    let path = |name| environment.get(name).map(|(path, _)| PathBuf::from(path));
    let data_home = path("XDG_DATA_HOME").filter(|path| path.is_absolute());
    data_home.or_else(|| Some(path("HOME")?.join(".local/share"))).map(|base| base.join("posemesh-node"))
}

impl Environment {
    /// `DATA_DIR` of a node with this environment; none if it keeps no history.
    pub fn data_dir(&self) -> Option<PathBuf> {
        match self.get(DATA_DIR) {
            Some((OFF, _)) => None,
            Some((path, _)) => Some(PathBuf::from(path)),
            None => default_folder(self),
        }
    }
}
