//! `plugin watch`: builds a project at each change of its sources, runs its cases, and lets the node serve what is good.

mod build;
mod changes;
mod dep_info;
#[cfg(feature = "devnet")]
mod network;
mod place;
mod project;
mod rounds;
mod sources;
mod staged;

use std::fs::{File, TryLockError};
#[cfg(feature = "devnet")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use posemesh_node_core::config::{Config, Environment};
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_node_core::telemetry::{self, LogFormat, LogSettings};
use posemesh_text::escaped;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

#[cfg(feature = "devnet")]
use self::network::LocalNetwork;
use self::place::Place;
use self::project::Asked;
use self::rounds::Rounds;
use self::sources::Sources;
use crate::output::out;
use crate::runner_loading::loader_with;
use crate::settings::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Folder of the project.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Command that builds it, for the shell, in the project's folder. Default: what its kind says: `cargo build`, as for a
    /// release but without link-time optimisation, the script `build` of package.json, `make`, or componentize-py.
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// The component that the build makes, relative to the project. Default: what Cargo says, or the only .wasm file.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Folder of the test cases, relative to the project; what fails one does not go live.
    #[arg(long, value_name = "DIR", default_value = "cases")]
    cases: PathBuf,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Files that are no sources, as in .gitignore. What .gitignore names, hidden files, components and the folders of
    /// toolchains (target, node_modules, build, dist) are none anyway. Can be repeated.
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<String>,
    /// Put good versions into this folder, the PLUGINS_DIR of a node, instead of a local network. Its policies count and are
    /// left as they are.
    #[arg(long, value_name = "PLUGINS_DIR")]
    #[cfg_attr(not(feature = "devnet"), arg(required = true))]
    into: Option<PathBuf>,
    /// Address of the local network; port 0 takes a free one.
    #[cfg(feature = "devnet")]
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", conflicts_with = "into")]
    addr: SocketAddr,
    /// Address of the status page of the local node. Default: none.
    #[cfg(feature = "devnet")]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "into")]
    status_addr: Option<SocketAddr>,
    /// Show the logs of the node and the network too.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A hang-up is the end of the terminal, and ends the watch with its build and its node.
async fn stop_when_hung_up(shutdown: Shutdown) {
    if let Ok(mut hang_up) = signal(SignalKind::hangup()) {
        hang_up.recv().await;
        shutdown.stop();
    }
}

/// Makes sure that nobody else watches a folder, as long as what it returns lives: two would build into it at once, and each would try
/// what the other has half written.
fn alone(dir: &Path) -> Result<Option<File>> {
    let folder = File::open(dir).with_context(|| format!("opening {}", dir.display()))?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => bail!(
            "{} is watched already, by another `plugin watch`: both would build into it. End that one, or watch a copy",
            dir.display()
        ),
        // A file system without locks.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Watches until a signal ends it; the exit code is 0 then.
///
/// # Errors
/// When the folder is no project, a setting is wrong, or the local network can't be started. A build that fails is no error:
/// it is shown, and the next change is waited for.
pub(crate) async fn run(args: WatchArgs) -> Result<ExitCode> {
    let shutdown = Shutdown::new();
    let _listening = EarlySignals::catch()
        .and_then(Signals::install)
        .context("installing signal handlers")?
        .pass_on(&shutdown);
    // Unlike a node, it has no use without whoever looks at it.
    let _hung_up = AbortOnDropHandle::new(tokio::spawn(stop_when_hung_up(shutdown.clone())));
    let _log = telemetry::init(&LogSettings {
        format: LogFormat::Text,
        filter: if args.verbose { "info" } else { "error" }.to_owned(),
        ..LogSettings::default()
    })?;
    let environment = args.settings.environment()?;
    let mut asked =
        Asked { dir: args.dir.clone(), build: args.build.clone(), component: args.component.clone() };
    let project = asked.find()?;
    // Another folder that a link leads to later is another project.
    asked.dir.clone_from(&project.dir);
    let _watched = alone(&project.dir)?;
    let sources =
        Sources::new(&project.dir, &project.dir.join(&args.cases), &args.ignore).context("--ignore")?;
    // Of its own: what is compiled in haste is not for other nodes.
    let cache = tempfile::tempdir().context("making a folder for compiled runners")?;
    let mut settings = Config::loading(&environment)?;
    settings.cache = Some(cache.path().to_owned());
    settings.compiler.in_haste = true;
    let loader = loader_with(settings).await?;
    let place = place(&args, cache.path(), &environment, &shutdown).await?;
    let (dir, how) = (project.dir.display().to_string(), &project.build.shown);
    out!("Watching {}; it is built by `{}`.", escaped(&dir), escaped(how));
    let mut rounds = Rounds::new(asked, project, loader, place, args.cases, args.filter);
    let ended = rounds.run(sources, &shutdown).await;
    // Whatever has ended it, the node is asked to end before it is waited for.
    shutdown.stop();
    tokio::select! {
        closed = rounds.close() => closed?,
        () = shutdown.killed().cancelled() => {}
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// The folder that was named, or a network of our own.
async fn place(
    args: &WatchArgs,
    cache: &Path,
    environment: &Environment,
    shutdown: &Shutdown,
) -> Result<Place> {
    if let Some(dir) = &args.into {
        return Place::folder(dir);
    }
    #[cfg(feature = "devnet")]
    {
        let network = LocalNetwork::start(args.addr, args.status_addr, cache, environment, shutdown).await?;
        out!("{}", network.instructions());
        Ok(Place::Network(Box::new(network)))
    }
    #[cfg(not(feature = "devnet"))]
    let _ = (cache, environment, shutdown);
    #[cfg(not(feature = "devnet"))]
    bail!("this program was built without a local network: give the PLUGINS_DIR of a node with --into")
}
