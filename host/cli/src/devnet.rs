//! `devnet`: a local network for people.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use posemesh_devnet::{Devnet, DevnetConfig};

use super::args::DevnetArgs;
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::shutdown::Shutdown;
use posemesh_node_core::telemetry::{self, LogFormat};

/// Runs the servers until a signal comes.
///
/// # Errors
/// When they can't be started.
pub async fn devnet(args: DevnetArgs) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text, &std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))?;
    let shutdown = Shutdown::new();
    let _listening = shutdown.listen().context("installing signal handlers")?;
    let config = DevnetConfig {
        addr: args.addr,
        data_dir: args.data_dir,
        lease_ttl: Duration::from_secs(args.lease_ttl),
        // What a node that takes several tasks at once needs.
        leases_per_node: 256,
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await?;
    print!("{}", instructions(&devnet));
    shutdown.draining().cancelled().await;
    devnet.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// What to type to use it. These credentials work nowhere else.
fn instructions(devnet: &Devnet) -> String {
    let (base, domain, token) = (devnet.domain_server_url(), devnet.domain_id(), devnet.app_token());
    let (dms, secret) = (devnet.dms_url(), devnet.registration_secret());
    let key = Wallet::generate().private_hex();
    let key = key.expose();
    format!(
        r#"DDS, DMS and a domain server are on {base} (Ctrl-C ends them).

A node for it, in another terminal:
  export DDS_BASE_URL={dds} DMS_BASE_URL={dms}
  export REG_SECRET={secret}
  export SECP256K1_PRIVHEX={key}
  export PLUGINS_DIR=target/plugins LOG_FORMAT=text
  posemesh-node run

Give it a scan and work to do, and look at it:
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
