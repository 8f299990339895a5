//! Memory: a node before, while and after it copies an artifact.

use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_devnet::{Devnet, Endpoint, RequestRecord};

use super::site::{self, Site};
use super::worker::{Side, Worker};
use super::{Options, too_much};
use crate::memory;
use crate::size::{Mib, Size};

/// What a copy may take above what the idle node has.
const CLAIM: u64 = 64 << 20;
/// How long a node that has nothing to do is left alone before it counts as idle.
const REST: Duration = Duration::from_secs(2);

/// What was seen of one copy.
struct Row {
    parts: usize,
    at_once: usize,
    idle: u64,
    median: u64,
    peak: u64,
    after: u64,
}

impl Row {
    fn above_idle(&self) -> u64 {
        self.peak.saturating_sub(self.idle)
    }
}

/// Prints the table; whether the claim holds.
pub async fn measure(site: &Site, options: &Options) -> Result<bool> {
    let mut most = 0;
    println!("## Resident memory of a node that copies an artifact\n");
    println!(
        "| node | artifact | part size | parts | at once | idle | median | peak | peak above idle | after |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for part_size in &options.part_sizes {
        most = most.max(print(site, Side::Ours, options.bytes, part_size.0).await?);
    }
    let mut refused = None;
    if options.reference_bytes.0 > 0 {
        refused = too_much(Side::Reference, options.reference_bytes.0)?;
        if refused.is_none() {
            print(site, Side::Reference, options.reference_bytes, options.part_size()).await?;
        }
    }
    let word = if most <= CLAIM { "holds" } else { "DOES NOT HOLD" };
    println!("\nThe claim that our peak stays within {} of idle {word}: at most {}.", Size(CLAIM), Mib(most));
    if let Some(refused) = refused {
        println!("\nThe reference node was {refused}.");
    }
    println!();
    Ok(most <= CLAIM)
}

/// Prints the row of one copy; how far its peak was above idle.
async fn print(site: &Site, side: Side, bytes: Size, part_size: u64) -> Result<u64> {
    let devnet = site.devnet(part_size).await?;
    let row = row(site, &devnet, side, bytes.0).await?;
    println!(
        "| {side} | {bytes} | {} | {} | {} | {} | {} | {} | {} | {} |",
        Size(part_size),
        row.parts,
        row.at_once,
        Mib(row.idle),
        Mib(row.median),
        Mib(row.peak),
        Mib(row.above_idle()),
        Mib(row.after)
    );
    devnet.shutdown().await;
    site.sweep()?;
    Ok(row.above_idle())
}

async fn row(site: &Site, devnet: &Devnet, side: Side, bytes: u64) -> Result<Row> {
    let input = site::input(devnet, bytes).await?;
    let worker = Worker::start(site, devnet, side).await?;
    let pid = worker.pid();
    tokio::time::sleep(REST).await;
    let idle = memory::field(&pid, "VmRSS:")?;
    memory::forget_peak(&pid)?;
    let before = devnet.requests().len();
    let mut resident = worker.copy(input, bytes).await?.resident;
    let peak = memory::field(&pid, "VmHWM:")?;
    site::take_artifact(devnet, input).await?;
    tokio::time::sleep(REST).await;
    let after = memory::field(&pid, "VmRSS:")?;
    worker.end().await;
    resident.sort_unstable();
    let median = *resident.get(resident.len() / 2).context("it was never looked at while it copied")?;
    let parts: Vec<RequestRecord> = devnet
        .requests()
        .into_iter()
        .skip(before)
        .filter(|request| request.endpoint == Some(Endpoint::MultipartPart))
        .collect();
    Ok(Row { parts: parts.len(), at_once: at_once(&parts), idle, median, peak, after })
}

/// How many requests were under way at the same time, at most.
fn at_once(requests: &[RequestRecord]) -> usize {
    let during = |at| {
        let under_way =
            |other: &&RequestRecord| other.at <= at && other.took.is_none_or(|took| other.at + took > at);
        requests.iter().filter(under_way).count()
    };
    // There are never more than when one has just come.
    requests.iter().map(|request| during(request.at)).max().unwrap_or_default()
}
