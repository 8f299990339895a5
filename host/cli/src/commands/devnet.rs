//! `devnet`: a local network to develop against.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_devnet::{Devnet, DevnetConfig};
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_node_core::telemetry::{self, LogFormat};

use crate::output::{self, out};

/// Leases that one node may have at a time: enough for any MAX_CONCURRENCY that a machine can bear.
const LEASES_PER_NODE: usize = 256;

#[derive(Debug, Args)]
pub(crate) struct DevnetArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:18080")]
    addr: SocketAddr,
    /// Folder for the domain's data. Default: a temporary folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Time after which a lease without a heartbeat expires.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    lease_ttl: u64,
}

/// Runs the servers until a signal comes.
///
/// # Errors
/// When the servers can't be started.
pub(crate) async fn run(args: DevnetArgs) -> Result<ExitCode> {
    let _log =
        telemetry::init(LogFormat::Text, &std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))?;
    let shutdown = Shutdown::new();
    let _listening = EarlySignals::catch()
        .and_then(Signals::install)
        .context("installing signal handlers")?
        .pass_on(&shutdown);
    let config = DevnetConfig {
        addr: args.addr,
        data_dir: args.data_dir,
        lease_ttl: Duration::from_secs(args.lease_ttl),
        leases_per_node: LEASES_PER_NODE,
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await?;
    out!("{}", instructions(&devnet));
    output::check()?;
    shutdown.stopping().cancelled().await;
    devnet.shutdown().await;
    Ok(ExitCode::SUCCESS)
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
  posemesh-node run

To store a scan, submit a job for it and look at the job:
  export TOKEN={token}
  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: multipart/form-data; boundary=b' \
    --data-binary @<(printf -- '--b\r\nContent-Disposition: form-data; name="scan"; data-type="ply"\r\n\r\n'; \
                     cat scan.ply; printf '\r\n--b--\r\n') \
    {base}/api/v1/domains/{domain}/data
  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' {dms}/jobs -d \
    '{{"label": "try", "domain_id": "{domain}", "tasks": [{{"label": "thin", "stage": "thin",
      "capability": "/posemesh/pointcloud/v1", "inputs_cids": ["DATA_ID"], "meta": {{"target_count": 20000}}}}]}}'
  curl -s -H "Authorization: Bearer $TOKEN" {dms}/jobs/JOB_ID
"#,
        dds = devnet.dds_url(),
    )
}
