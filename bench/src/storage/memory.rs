//! Resident memory of a node before, while and after it copies an artifact.

use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_devnet::{Devnet, Endpoint, RequestRecord};

use crate::memory::{field, reset_peak};
use crate::size::{Mib, Size};
use crate::storage::limits::too_much;
use crate::storage::node::MeasuredNode;
use crate::storage::node_kind::NodeKind;
use crate::storage::options::Options;
use crate::storage::site::{self, Site};

/// Memory that a copy may take above that of the idle node.
const CLAIM: u64 = 64 << 20;
/// How long a node without work is left alone before it counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// What was measured of one copy, in bytes.
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

/// Prints the table; returns whether the claim holds.
pub(crate) async fn measure(site: &Site, options: &Options) -> Result<bool> {
    let mut most = 0;
    println!("## Resident memory of a node that copies an artifact\n");
    println!(
        "| node | artifact | part size | parts | at once | idle | median | peak | peak above idle | after |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for part_size in &options.part_sizes {
        most = most.max(print(site, NodeKind::Ours, options.bytes, part_size.0).await?);
    }
    let mut refused = None;
    if options.reference_bytes.0 > 0 {
        refused = too_much(NodeKind::Reference, options.reference_bytes.0)?;
        if refused.is_none() {
            print(site, NodeKind::Reference, options.reference_bytes, options.part_size()).await?;
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

/// Prints the row of one copy; returns how far its peak was above idle.
async fn print(site: &Site, kind: NodeKind, bytes: Size, part_size: u64) -> Result<u64> {
    let devnet = site.devnet(part_size).await?;
    let row = row(site, &devnet, kind, bytes.0).await?;
    println!(
        "| {kind} | {bytes} | {} | {} | {} | {} | {} | {} | {} | {} |",
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

async fn row(site: &Site, devnet: &Devnet, kind: NodeKind, bytes: u64) -> Result<Row> {
    let input = site::input(devnet, bytes).await?;
    let node = MeasuredNode::start(site, devnet, kind).await?;
    let pid = node.pid();
    tokio::time::sleep(IDLE_AFTER).await;
    let idle = field(&pid, "VmRSS:")?;
    reset_peak(&pid)?;
    let before = devnet.requests().len();
    let mut resident = node.copy(input, bytes).await?.resident;
    let peak = field(&pid, "VmHWM:")?;
    site::take_artifact(devnet, input).await?;
    tokio::time::sleep(IDLE_AFTER).await;
    let after = field(&pid, "VmRSS:")?;
    node.end().await;
    resident.sort_unstable();
    let median = *resident.get(resident.len() / 2).context("its memory was never read while it copied")?;
    let parts: Vec<RequestRecord> = devnet
        .requests()
        .into_iter()
        .skip(before)
        .filter(|request| request.endpoint == Some(Endpoint::MultipartPart))
        .collect();
    Ok(Row { parts: parts.len(), at_once: at_once(&parts), idle, median, peak, after })
}

/// The largest number of requests that were under way at the same time.
fn at_once(requests: &[RequestRecord]) -> usize {
    let during = |at| {
        let under_way =
            |other: &&RequestRecord| other.at <= at && other.took.is_none_or(|took| other.at + took > at);
        requests.iter().filter(under_way).count()
    };
    // The number is largest at the start of one of them.
    requests.iter().map(|request| during(request.at)).max().unwrap_or_default()
}
