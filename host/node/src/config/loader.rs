//! The node's maximum of each limit of runners, and what loading a runner may cost.

use std::time::Duration;

use super::environment::Environment;
use super::paths::Paths;
use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use posemesh_plugin_host::load::{CompilerSettings, LoaderSettings, PrivateFolders};
use posemesh_plugin_host::manifest::{Limit, LimitUnit};
use posemesh_plugin_host::sandbox::{SandboxMode, SandboxSettings};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

pub(super) fn read(reader: &mut SettingsReader<'_>, paths: Option<&Paths>) -> LoaderSettings {
    let default = LoaderSettings::default();
    let maximum = default.maximum.map(|limit, maximum| {
        let variable = limit_variable(limit);
        match limit.unit() {
            LimitUnit::Bytes => reader.bytes(&variable, maximum, 0..=256 * TIB),
            LimitUnit::Millis => {
                let maximum = Duration::from_millis(maximum);
                let most = reader.millis(&variable, maximum, 0..=u64::from(u32::MAX));
                u64::try_from(most.as_millis()).unwrap_or(u64::MAX)
            }
            LimitUnit::Number => reader.integer(&variable, maximum, 0..=u64::from(u32::MAX)),
        }
    });
    let component_bytes = reader.bytes(
        &Variable::new(Group::Loading, "MAX_COMPONENT_BYTES", "The largest component file that is loaded."),
        default.component_bytes,
        MIB..=GIB,
    );
    let compiler = read_compiler(reader, default.compiler);
    let describe_time = reader.seconds(
        &Variable::new(
            Group::Loading,
            "DESCRIBE_TIMEOUT_SECS",
            "Time that a runner's `describe` may take when it is loaded, in seconds; a quarter of it on the \
             processor.",
        ),
        default.describe_time,
        1..=600,
    );
    let cache = paths.map(|paths| paths.cache.clone());
    let modes = SandboxMode::ALL.map(|mode| (mode.as_str(), mode));
    let mode = reader.choice(
        &Variable::new(
            Group::Loading,
            "SANDBOX",
            "How runners are kept apart from the node: in processes of their own, held by what this kernel has \
             (`best-effort`; what it lacks is told by `config check`, the log and `/api/node`), only if it has everything \
             (`require`), or in the node's own process (`off`: for development).",
        ),
        default.sandbox.mode,
        &modes,
    );
    let sandbox = SandboxSettings { mode, ..default.sandbox.clone() };
    LoaderSettings { sandbox, maximum, component_bytes, compiler, describe_time, cache, ..default }
}

/// The folders that no runner gets: the node's own, and those that its secrets lie in.
pub(super) fn private_folders(paths: &Paths, environment: &Environment) -> PrivateFolders {
    let Paths { plugins, cache, work, audit } = paths;
    let own = [plugins, cache, work].into_iter();
    let private = own.fold(PrivateFolders::default(), |private, folder| private.closed(folder));
    let private = environment.files().fold(private, PrivateFolders::holder_of);
    let private = audit.iter().fold(private, |private, file| private.holder_of(file));
    environment.secret_files().fold(private, |private, file| private.holder_of(&file))
}

fn limit_variable(limit: Limit) -> Variable {
    let meaning = format!("The maximum of `{limit}` for every runner. {}", limit.meaning());
    Variable::new(Group::RunnerLimits, limit.variable(), meaning)
}

fn read_compiler(reader: &mut SettingsReader<'_>, default: CompilerSettings) -> CompilerSettings {
    let timeout = reader.seconds(
        &Variable::new(
            Group::Loading,
            "COMPILE_TIMEOUT_SECS",
            "Time for compiling one component, in seconds. One that takes longer is refused until its file or its policy \
             changes, or a rescan is asked for.",
        ),
        default.timeout,
        1..=3600,
    );
    let memory_bytes = reader.bytes(
        &Variable::new(
            Group::Loading,
            "COMPILE_MEMORY_BYTES",
            "The address space of the process that compiles a component.",
        ),
        default.memory_bytes,
        256 * MIB..=64 * GIB,
    );
    let parallelism = reader.integer(
        &Variable::new(
            Group::Loading,
            "COMPILE_PARALLELISM",
            "How many components are compiled at the same time. One that takes longer than 2 s does not count, as long as \
             `COMPILE_MEMORY_BYTES` are available for another.",
        ),
        default.parallelism,
        1..=64,
    );
    CompilerSettings { timeout, memory_bytes, parallelism, ..default }
}
