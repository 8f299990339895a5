//! Resident memory of a node before, while and after it copies an artifact.

use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_devnet::{Devnet, Endpoint, RequestRecord};

use crate::memory::{field, reset_peak};
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};
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

/// Measures each part size; returns whether the claim holds.
pub(crate) async fn measure(site: &Site, options: &Options, report: &mut Report) -> Result<bool> {
    let mut most = 0;
    let mut table = Table::new(
        "memory",
        format!("Resident memory of a node that copies an artifact of {}", options.bytes),
    )
    .by_unit("part size", Unit::Bytes)
    .column("parts", Unit::Count)
    .column("at once", Unit::Count)
    .column("idle", Unit::Bytes)
    .column("median", Unit::Bytes)
    .column("peak", Unit::Bytes)
    .column("peak above idle", Unit::Bytes)
    .column("after", Unit::Bytes);
    for part_size in &options.part_sizes {
        most = most.max(add(&mut table, site, (NodeKind::Ours, options.bytes), part_size.0).await?);
    }
    let mut refused = None;
    if options.reference_bytes.0 > 0 {
        refused = too_much(NodeKind::Reference, options.reference_bytes.0)?;
        if refused.is_none() {
            let what = (NodeKind::Reference, options.reference_bytes);
            add(&mut table, site, what, options.part_size()).await?;
        }
        if options.reference_bytes != options.bytes {
            table.note(format!("The reference node copied {}.", options.reference_bytes));
        }
    }
    let word = if most <= CLAIM { "holds" } else { "DOES NOT HOLD" };
    table.note(format!(
        "The claim that our peak stays within {} of idle {word}: at most {}.",
        Size(CLAIM),
        Mib(most)
    ));
    if let Some(refused) = refused {
        table.note(format!("The reference node was {refused}."));
    }
    report.table(table);
    Ok(most <= CLAIM)
}

/// Adds the row of one copy; returns how far its peak was above idle.
async fn add(table: &mut Table, site: &Site, (kind, bytes): (NodeKind, Size), part_size: u64) -> Result<u64> {
    progress(format_args!("memory of {kind}, {bytes} in parts of {}", Size(part_size)));
    let devnet = site.devnet(part_size).await?;
    let row = row(site, &devnet, kind, bytes.0).await?;
    let bytes = [row.idle, row.median, row.peak, row.above_idle(), row.after].map(|bytes| bytes as f64);
    let [idle, median, peak, above, after] = bytes;
    let figures = [row.parts as f64, row.at_once as f64, idle, median, peak, above, after];
    table.row(kind.to_string(), Some(part_size as f64), figures.map(|value| Some(Figure::one(value))));
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
