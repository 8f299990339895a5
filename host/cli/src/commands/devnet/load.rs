//! `devnet load`: jobs at a steady rate, for a local network that runs.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use posemesh_net::http::{bearer, cause, client_builder};
use posemesh_net::retry::is_transient;
use posemesh_net::secret::Secret;
use posemesh_node_core::shutdown::Shutdown;
use reqwest::Client;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::output::{self, out, tell};

/// How often it is told how many jobs were submitted.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The slowest rate and the fastest.
const LEAST: f64 = 0.001;
const MOST: f64 = 10_000.0;
/// Requests that are under way at a time, so that the rate does not depend on how long one takes.
const AT_ONCE: usize = 256;
/// Below this part of the rate that was asked for, it is said that it was not reached.
const REACHED: f64 = 0.9;

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

/// Who submits which job: token and domain are from the environment, since arguments are seen by every user of the machine.
struct Submitter {
    client: Client,
    authorization: HeaderValue,
    dms: String,
    job: String,
}

/// What became of a job, unless the next one would fare no better.
enum Submitted {
    /// The server has it.
    Taken,
    /// There was no answer, or one that passes; for people.
    Lost(String),
}

/// What became of the jobs so far.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    taken: u64,
    failed: u64,
}

/// Submits jobs until it is stopped, and says how many were taken and at which rate.
///
/// # Errors
/// When nobody listens there or the first job is refused: nothing would be different with the next.
pub(crate) async fn run(args: &LoadArgs, shutdown: &Shutdown) -> Result<ExitCode> {
    let submitter = Arc::new(Submitter::from_environment(args)?);
    let began = Instant::now();
    let mut next = interval(Duration::from_secs_f64(1.0 / args.rate));
    // What the server was too slow for is not made up for all at once.
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut report = interval(TELL_EVERY);
    report.reset();
    let mut counts = Counts::default();
    let mut requests = JoinSet::new();
    let mut held_back = false;
    let end = began + Duration::from_secs(args.seconds.unwrap_or_default());
    loop {
        tokio::select! {
            biased;
            () = shutdown.stopping().cancelled() => break,
            () = sleep_until(end), if args.seconds.is_some() => break,
            _ = report.tick() => counts.tell(),
            Some(ended) = requests.join_next() => counts.count(ended)?,
            _ = next.tick(), if requests.len() < AT_ONCE => {
                let submitter = submitter.clone();
                requests.spawn(async move { submitter.submit().await });
            }
        }
        held_back |= requests.len() == AT_ONCE;
        output::check()?;
    }
    let submitted_for = began.elapsed();
    // After the time that was asked for, the last answers are waited for; whoever stops it waits for nothing.
    loop {
        tokio::select! {
            biased;
            () = shutdown.stopping().cancelled() => break,
            ended = requests.join_next() => match ended {
                Some(ended) => counts.count(ended)?,
                None => break,
            },
        }
    }
    counts.tell_all(args.rate, submitted_for, requests.len(), held_back);
    output::check()?;
    Ok(ExitCode::SUCCESS)
}

impl Counts {
    /// Counts an ended request.
    ///
    /// # Errors
    /// When the next one would fare no better.
    fn count(&mut self, ended: Result<Result<Submitted>, JoinError>) -> Result<()> {
        match ended.context("submitting a job")? {
            Ok(Submitted::Taken) => self.taken += 1,
            // A network on a bad day is what the load is for.
            Ok(Submitted::Lost(why)) => {
                self.failed += 1;
                tell!("{why}");
            }
            Err(error) if self.taken == 0 => return Err(error),
            Err(error) => {
                self.failed += 1;
                tell!("{error:#}");
            }
        }
        Ok(())
    }

    fn tell(self) {
        out!("{} jobs were taken, {} were not", self.taken, self.failed);
    }

    /// At the end: all of it, and whether the rate was what was asked for.
    fn tell_all(self, asked: f64, took: Duration, under_way: usize, held_back: bool) {
        let seconds = took.as_secs_f64();
        // Those without an answer were submitted as well.
        let reached = (self.taken + self.failed + under_way as u64) as f64 / seconds.max(f64::EPSILON);
        // The first is submitted at once, so that short runs are above the rate.
        let reached = reached.min(asked);
        if reached < asked * REACHED {
            let why = if held_back {
                format!("{AT_ONCE} requests, the most at a time, were waiting for answers")
            } else {
                "this machine sends no more".to_owned()
            };
            tell!("{asked} jobs a second were not reached: {why}");
        }
        let open = if under_way > 0 { format!(", {under_way} had no answer yet") } else { String::new() };
        out!(
            "{} jobs were taken in {seconds:.1} s, {} were not{open}; {reached:.1} a second of {asked}",
            self.taken,
            self.failed
        );
    }
}

impl Submitter {
    fn from_environment(args: &LoadArgs) -> Result<Self> {
        let of = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
            value.with_context(|| {
                format!("{name} is not set: export the one that `posemesh-node devnet` has printed")
            })
        };
        let (token, domain) = (Secret::new(of("TOKEN")?), of("DOMAIN_ID")?);
        let authorization = bearer(&token).context("TOKEN can't stand in a header")?;
        let client =
            client_builder().timeout(Duration::from_secs(10)).build().context("making an HTTP client")?;
        let LoadArgs { capability, meta, dms, .. } = args;
        let task = json!({"label": "load", "stage": "load", "capability": capability, "meta": meta});
        let job = json!({"label": "load", "domain_id": domain, "tasks": [task]}).to_string();
        Ok(Self { client, authorization, dms: dms.clone(), job })
    }

    async fn submit(&self) -> Result<Submitted> {
        let dms = &self.dms;
        let request = self.client.post(format!("{}/jobs", dms.trim_end_matches('/')));
        let request = request
            .header("authorization", self.authorization.clone())
            .header("content-type", "application/json");
        let status = match request.body(self.job.clone()).send().await {
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
