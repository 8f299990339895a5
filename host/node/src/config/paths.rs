//! Where things lie on disk.

use std::path::PathBuf;

use super::environment::Environment;
use super::reader::SettingsReader;
use super::variable::{Group, Variable};

/// Where things lie on disk. Nothing is created or looked up at this stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Runners and their grants.
    pub(crate) plugins: PathBuf,
    /// Compiled runners. Its content is trusted: nobody else may write there.
    pub(crate) cache: PathBuf,
    /// The private directories of tasks.
    pub(crate) work: PathBuf,
    /// The file of the audit log; none if it is off.
    pub(crate) audit: Option<PathBuf>,
}

/// What a folder has to be that is not set and can't be derived.
const NO_HOME: &str = "a directory that only the node can write to (there is no HOME to derive it from)";

/// The folder of compiled runners alone; none where there is no place for it.
pub(super) fn read_cache_if_any(reader: &mut SettingsReader<'_>) -> Option<PathBuf> {
    let ours = own_base(reader.environment());
    if ours.is_none() && reader.raw("CACHE_DIR").is_none() { None } else { read_cache(reader, ours.as_ref()) }
}

fn read_cache(reader: &mut SettingsReader<'_>, ours: Option<&PathBuf>) -> Option<PathBuf> {
    reader.path(
        &Variable::new(
            Group::Folders,
            "CACHE_DIR",
            "Compiled runners. It is closed to other users (0700), and nothing is believed that does not carry a tag by \
             the key in it. Where others may change it or a folder above it, it is not used, and every runner is compiled at \
             each start. `plugin show`, `run`, `test` and `check` use it as well.",
        )
        .default_in_words("`posemesh-node/compiled` in `XDG_CACHE_HOME`, or in `HOME/.cache`"),
        ours.map(|base| base.join("compiled")),
        NO_HOME,
    )
}

const WORK_DIR: &str = "WORK_DIR";
/// The name of the folder of tasks, unless `WORK_DIR` is set.
const WORK: &str = "work";
const CACHE_HOME: &str = "XDG_CACHE_HOME";
const HOME: &str = "HOME";

/// Where the node's folders are that nobody has chosen.
fn own_base(environment: &Environment) -> Option<PathBuf> {
    let path = |name| environment.get(name).map(|(path, _)| PathBuf::from(path));
    // The XDG base directory specification says that relative paths are to be ignored.
    let cache_home = path(CACHE_HOME).filter(|path| path.is_absolute());
    // Not under the system's temporary directory: compiled code that is run must not come from a
    // place where other users of the machine can write.
    cache_home.or_else(|| Some(path(HOME)?.join(".cache"))).map(|base| base.join("posemesh-node"))
}

impl Environment {
    /// `WORK_DIR` of a node with this environment; none if nothing says where it is.
    pub fn work_dir(&self) -> Option<PathBuf> {
        let set = self.get(WORK_DIR).map(|(path, _)| PathBuf::from(path));
        set.or_else(|| Some(own_base(self)?.join(WORK)))
    }
}

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Paths> {
    let plugins = reader.path(
        &Variable::new(
            Group::Folders,
            "PLUGINS_DIR",
            "The folder with the runners (NAME.wasm) and what they are granted (NAME.toml). It is watched while \
             the node runs. Who else may write to it is said at start, by `config check` and by `/ready`.",
        )
        .default_in_words("required"),
        None,
        "the directory that holds the runners (.wasm files)",
    );
    // Says so if it is not UTF-8.
    let _ = (reader.raw(CACHE_HOME), reader.raw(HOME));
    let ours = own_base(reader.environment());
    let cache = read_cache(reader, ours.as_ref());
    let work = reader.path(
        &Variable::new(
            Group::Folders,
            WORK_DIR,
            "The private directories of tasks and their logs, and who served which capability \
             (`runners-….json`). What a crash left there is removed at start. A folder of another user is refused.",
        )
        .default_in_words("`posemesh-node/work` in `XDG_CACHE_HOME`, or in `HOME/.cache`"),
        ours.map(|base| base.join(WORK)),
        NO_HOME,
    );
    let audit = reader.optional(
        &Variable::new(
            Group::Log,
            "AUDIT_LOG",
            "A file to which a line is appended for each admin call, grant, generation, refusal and ended runner \
             ([audit.md](audit.md)). A new one is readable by this user alone; it may be renamed at any time.",
        ),
        "off",
        "the path of a file, or `off`",
        |text| Ok::<_, String>(text.to_owned()),
    );
    let audit = audit.filter(|path| path != "off").map(PathBuf::from);
    Some(Paths { plugins: plugins?, cache: cache?, work: work?, audit })
}
