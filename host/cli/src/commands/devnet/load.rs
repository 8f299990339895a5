//! `devnet load`: jobs at a steady rate, for a local network that runs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use posemesh_net::http::{bearer, cause, client_builder};
use posemesh_net::retry::is_transient;
use posemesh_net::secret::Secret;
use posemesh_node_core::shutdown::Shutdown;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::output::{self, out, tell};

/// How often it is told how many jobs were submitted.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The slowest rate and the fastest.
const LEAST: f64 = 0.001;
const MOST: f64 = 10_000.0;

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Jobs to submit a second, of one task each.
    #[arg(long, value_name = "JOBS", default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// Stop after this time. Default: with Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// The capability that the tasks ask for.
    #[arg(long, value_name = "CAPABILITY", default_value = "/posemesh/noop/v1")]
    capability: String,
    /// `meta` of the tasks, as JSON.
    #[arg(long, value_name = "JSON", default_value = "{\"sleep_ms\": 0}", value_parser = object)]
    meta: Value,
    /// Base URL of the job server. TOKEN and DOMAIN_ID are taken from the environment, as `devnet` prints them.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:18080/v1")]
    dms: String,
}

/// Who submits, and for which domain: from the environment, since arguments are seen by every user of the machine.
struct Submitter {
    client: Client,
    token: Secret,
    domain: String,
}

/// What became of a job, unless the next one would fare no better.
enum Submitted {
    /// The server has it.
    Taken,
    /// There was no answer, or one that passes; for people.
    Lost(String),
}

impl Submitter {
    fn from_environment() -> Result<Self> {
        let of = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
            value.with_context(|| {
                format!("{name} is not set: export the one that `posemesh-node devnet` has printed")
            })
        };
        let (token, domain) = (Secret::new(of("TOKEN")?), of("DOMAIN_ID")?);
        let client =
            client_builder().timeout(Duration::from_secs(10)).build().context("making an HTTP client")?;
        Ok(Self { client, token, domain })
    }
}

/// Submits jobs until it is stopped, and says how many were taken.
///
/// # Errors
/// When nobody listens there or the first job is refused: nothing would be different with the next.
pub(crate) async fn run(args: &LoadArgs, shutdown: &Shutdown) -> Result<ExitCode> {
    let submitter = Submitter::from_environment()?;
    let began = Instant::now();
    let mut next = interval(Duration::from_secs_f64(1.0 / args.rate));
    // What the server was too slow for is not made up for all at once.
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut report = interval(TELL_EVERY);
    report.reset();
    let (mut taken, mut failed) = (0_u64, 0_u64);
    let end = began + Duration::from_secs(args.seconds.unwrap_or_default());
    loop {
        tokio::select! {
            biased;
            () = shutdown.stopping().cancelled() => break,
            () = sleep_until(end), if args.seconds.is_some() => break,
            _ = report.tick() => out!("{taken} jobs were taken, {failed} were not"),
            _ = next.tick() => match submitter.submit(args).await {
                Ok(Submitted::Taken) => taken += 1,
                // A network on a bad day is what the load is for.
                Ok(Submitted::Lost(why)) => {
                    failed += 1;
                    tell!("{why}");
                }
                Err(error) if taken == 0 => return Err(error),
                Err(error) => {
                    failed += 1;
                    tell!("{error:#}");
                }
            },
        }
        output::check()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    out!("{taken} jobs were taken in {seconds:.1} s, {failed} were not");
    Ok(ExitCode::SUCCESS)
}

impl Submitter {
    async fn submit(&self, args: &LoadArgs) -> Result<Submitted> {
        let LoadArgs { capability, meta, dms, .. } = args;
        let task = json!({"label": "load", "stage": "load", "capability": capability, "meta": meta});
        let job = json!({"label": "load", "domain_id": self.domain, "tasks": [task]});
        let authorization = bearer(&self.token).context("TOKEN can't stand in a header")?;
        let request = self.client.post(format!("{}/jobs", dms.trim_end_matches('/')));
        let request =
            request.header("authorization", authorization).header("content-type", "application/json");
        let status = match request.body(job.to_string()).send().await {
            Ok(answer) => answer.status(),
            Err(error) if error.is_connect() => bail!("submitting a job to {dms}: {}", cause(&error)),
            Err(error) => {
                return Ok(Submitted::Lost(format!("submitting a job to {dms}: {}", cause(&error))));
            }
        };
        if is_transient(status) {
            return Ok(Submitted::Lost(format!("submitting a job to {dms}: it answered {status}")));
        }
        if !status.is_success() {
            bail!(
                "submitting a job to {dms}: it answered {status}; TOKEN and DOMAIN_ID must be those that this `devnet` has \
                 printed"
            );
        }
        Ok(Submitted::Taken)
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = (LEAST..=MOST).contains(&rate);
    if fits { Ok(rate) } else { Err(format!("must be from {LEAST} to {MOST}")) }
}

fn object(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("must be a JSON object".to_owned()) }
}
