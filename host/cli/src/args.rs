//! The arguments, as given. Everything about the network comes from the environment (`config check`
//! shows it); arguments are for what is done by hand.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A posemesh compute node whose capability runners are sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "posemesh-node",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.\n\n\
                  Try it without an account: posemesh-node demo --plugins-dir target/plugins"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the node: register, log in, lease tasks and work on them until SIGINT or SIGTERM.
    ///
    /// It is configured by environment variables; `posemesh-node config check` lists them with their
    /// values. Needed at least: PLUGINS_DIR, and REG_SECRET with SECP256K1_PRIVHEX or robot credentials.
    Run(RunArgs),
    /// Show a whole round on this machine: a local network, a node, a job, and what comes out.
    Demo(DemoArgs),
    /// Run a local network (DDS, DMS and domain server on loopback) to develop against.
    Devnet(DevnetArgs),
    /// Work with runners: list, inspect, run and test them, without a network or an account.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make or look at the node's key.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Compile the component on standard input; the node starts itself with this.
    #[command(hide = true, name = posemesh_plugin_host::compiler::COMMAND)]
    CompileComponent(posemesh_plugin_host::compiler::ChildLimits),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A file of NAME=value lines; the environment itself comes first. `.env` is read if it is there.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the runners lie.
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    pub plugins_dir: PathBuf,
    /// The scan to thin: a PLY file, gzipped or not.
    #[arg(long, value_name = "FILE")]
    pub scan: PathBuf,
    /// Where the artifacts go.
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    pub out: PathBuf,
    /// Parameters of the runner as JSON: {"voxel_size": 0.002}, {"target_count": 5000, "outliers": {}}...
    #[arg(
        long,
        value_name = "JSON",
        default_value = r#"{"target_count": 12000, "outliers": {"std_ratio": 3}}"#
    )]
    pub meta: String,
    /// Show the logs of node and network too.
    #[arg(short, long)]
    pub verbose: bool,
}

/// `devnet`.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:18080")]
    pub addr: SocketAddr,
    /// Where the domain's data lies; a temporary folder if absent.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How long a lease lives without a heartbeat.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub lease_ttl: u64,
}

/// `plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List runners: those of the running node, or of a folder.
    ///
    /// Without a folder the node's status server is asked, and its generations are shown with where they
    /// stand. With one, every runner in it is loaded here.
    List {
        /// The folder with NAME.wasm and NAME.toml.
        #[arg(value_name = "DIR")]
        plugins_dir: Option<PathBuf>,
        /// Which node.
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Make the running node look at its folder now, and try again what it refused (needs ADMIN_TOKEN).
    Rescan(NodeArgs),
    /// Make the running node go back to the previous generation of a runner (needs ADMIN_TOKEN).
    Rollback {
        /// The runner: the stem of its file.
        #[arg(value_name = "NAME")]
        name: String,
        /// Which node.
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Show what a runner says of itself, and what it would be granted.
    Show {
        /// The component.
        #[arg(value_name = "FILE")]
        component: PathBuf,
    },
    /// Run a runner once, on files.
    Run(PluginRunArgs),
    /// Run a runner's test cases: folders of task.json, inputs/ and expected/.
    Test {
        /// The component.
        #[arg(value_name = "FILE")]
        component: PathBuf,
        /// Folders of cases, or single cases.
        #[arg(value_name = "CASES", required = true)]
        cases: Vec<PathBuf>,
        /// Keep what the cases produced here.
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
}

/// Which running node is asked.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Where its status server listens; STATUS_ADDR, or 127.0.0.1:8090, if absent.
    #[arg(long, value_name = "IP:PORT")]
    pub status_addr: Option<SocketAddr>,
    /// A file of NAME=value lines with STATUS_ADDR and ADMIN_TOKEN; the environment itself comes first.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// `plugin run`.
#[derive(Debug, Args)]
pub struct PluginRunArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    pub component: PathBuf,
    /// An input file; its CID is its name, or what stands before `=`. Can be repeated.
    #[arg(long = "input", value_name = "[CID=]FILE")]
    pub inputs: Vec<String>,
    /// The parameters: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "null")]
    pub meta: String,
    /// Which capability, if the runner has several.
    #[arg(long, value_name = "CAPABILITY")]
    pub capability: Option<String>,
    /// Where the artifacts go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective configuration with secrets masked; exit with 2 if something is wrong.
    Check(RunArgs),
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print a new private key for SECP256K1_PRIVHEX on standard output, its address on standard error.
    Generate,
    /// Print the address of the key in SECP256K1_PRIVHEX.
    Address(RunArgs),
}
