//! `devnet`: a local network to develop against and to try a fleet on, and work for it.

mod load;
mod weather;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use posemesh_devnet::{Devnet, DevnetConfig};
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_node_core::telemetry::{self, LogFormat, LogSettings};

use crate::output::{self, out};

/// Leases that one node may have at a time unless it is said: enough for any MAX_CONCURRENCY that a machine can bear.
const LEASES_PER_NODE: usize = 256;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DevnetArgs {
    #[command(subcommand)]
    command: Option<DevnetCommand>,
    #[command(flatten)]
    servers: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum DevnetCommand {
    /// Submit jobs to a running network at a steady rate.
    Load(load::LoadArgs),
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:18080")]
    addr: SocketAddr,
    /// Folder for the domain's data. Default: a temporary folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Time after which a lease without a heartbeat expires.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    lease_ttl: u64,
    /// Leases that a node may have at a time. The network's job server allows 1.
    #[arg(long, value_name = "NUMBER", default_value_t = LEASES_PER_NODE as u64, value_parser = clap::value_parser!(u64).range(1..))]
    leases_per_node: u64,
    /// How many identities of nodes to print.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    nodes: u64,
    #[command(flatten)]
    weather: weather::WeatherArgs,
}

/// Runs the servers until a signal comes, or gives work to servers that run.
///
/// # Errors
/// When the servers can't be started.
pub(crate) async fn run(args: DevnetArgs) -> Result<ExitCode> {
    let shutdown = Shutdown::new();
    let _listening = EarlySignals::catch()
        .and_then(Signals::install)
        .context("installing signal handlers")?
        .pass_on(&shutdown);
    if let Some(DevnetCommand::Load(args)) = args.command {
        return load::run(&args, &shutdown).await;
    }
    let args = args.servers;
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let _log = telemetry::init(&LogSettings { format: LogFormat::Text, filter, ..LogSettings::default() })?;
    let config = DevnetConfig {
        addr: args.addr,
        data_dir: args.data_dir,
        lease_ttl: Duration::from_secs(args.lease_ttl),
        leases_per_node: usize::try_from(args.leases_per_node).unwrap_or(usize::MAX),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await?;
    out!("{}", instructions(&devnet));
    for number in 1..args.nodes {
        out!("{}", identity(number + 1, devnet.add_node().registration_secret.as_str()));
    }
    output::check()?;
    args.weather.until(&devnet, shutdown.stopping()).await;
    devnet.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// A new key for a registration secret, to be typed before a further node is run.
fn identity(number: u64, secret: &str) -> String {
    let key = Wallet::generate().private_hex();
    let key = key.expose();
    let port = 8089 + number;
    format!(
        "Node {number}:\n  export REG_SECRET={secret}\n  export SECP256K1_PRIVHEX={key}\n  \
         export STATUS_ADDR=127.0.0.1:{port}\n"
    )
}

/// The commands that start a node for this network and give it work. The credentials are valid nowhere else.
fn instructions(devnet: &Devnet) -> String {
    let (base, domain, token) = (devnet.domain_server_url(), devnet.domain_id(), devnet.app_token());
    let (dms, secret) = (devnet.dms_url(), devnet.registration_secret());
    let key = Wallet::generate().private_hex();
    let key = key.expose();
    format!(
        r#"DDS, DMS and a domain server are on {base} (Ctrl-C stops them).

To run a node for it, in another terminal:
  export DDS_BASE_URL={dds} DMS_BASE_URL={dms}
  export REG_SECRET={secret}
  export SECP256K1_PRIVHEX={key}
  export PLUGINS_DIR=target/plugins LOG_FORMAT=text
  export POLL_BACKOFF_MS_MIN=50 POLL_BACKOFF_MS_MAX=250
  posemesh-node run

To give it a job, in a third one (`posemesh-node job --help` has more):
  export DDS_BASE_URL={dds} DMS_BASE_URL={dms}
  export TOKEN={token} DOMAIN_ID={domain}
  posemesh-node job submit --capability /posemesh/pointcloud/v1 --input scan.ply \
    --meta '{{"target_count": 20000}}' --out results

To give it work at a steady rate, there, too, for nodes with ENABLE_NOOP=true:
  posemesh-node devnet load --dms {dms} --rate 5
"#,
        dds = devnet.dds_url(),
    )
}
