//! Throughput: the same bytes copied by our node, by curl and by the reference node, taking turns; artifacts of ever more bytes.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use posemesh_devnet::Devnet;
use uuid::Uuid;

use crate::cpu::{cost, processor_time};
use crate::memory::{field, reset_peak};
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};
use crate::size::Size;
use crate::storage::curl;
use crate::storage::limits::too_much;
use crate::storage::node::MeasuredNode;
use crate::storage::node_kind::NodeKind;
use crate::storage::options::Options;
use crate::storage::site::{self, Site};

/// The program that copies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Copier {
    Node(NodeKind),
    Curl,
}

/// The measurements of one copy.
struct Copy {
    took: Duration,
    /// Processor time of the copier, and of the servers.
    used: [Duration; 2],
    /// The most that the node held in memory.
    peak: Option<u64>,
}

/// All copies of one copier.
struct Times {
    who: Copier,
    copies: Vec<Copy>,
}

impl Times {
    fn took(&self) -> Figure {
        self.figure(|copy| copy.took.as_secs_f64())
    }

    fn figure(&self, value: impl Fn(&Copy) -> f64) -> Figure {
        Figure::of(self.copies.iter().map(value).collect())
    }

    fn figures(&self, bytes: Size, curls: f64) -> [Option<Figure>; 6] {
        let took = self.took();
        let peaks: Option<Vec<f64>> = self.copies.iter().map(|copy| Some(copy.peak? as f64)).collect();
        [
            Some(took),
            Some(took.map(|time| bytes.0 as f64 / time)),
            Some(Figure::one(curls / took.median)),
            Some(self.figure(|copy| copy.used[0].as_secs_f64())),
            Some(self.figure(|copy| copy.used[1].as_secs_f64())),
            peaks.map(Figure::of),
        ]
    }
}

/// Measures each size.
pub(crate) async fn measure(site: &Site, options: &Options, curl: &str, report: &mut Report) -> Result<()> {
    let mut table = Table::new("throughput", "Copying an artifact from a domain server back to it")
        .sides("who")
        .by_unit("artifact", Unit::Bytes)
        .column("time", Unit::Seconds)
        .column("throughput", Unit::BytesPerSecond)
        .column("of curl's", Unit::Ratio)
        .column("processor time", Unit::Seconds)
        .column("of the servers", Unit::Seconds)
        .column("peak memory", Unit::Bytes);
    let devnet = site.devnet(options.part_size()).await?;
    for &bytes in &options.sizes {
        let mut all = vec![Copier::Node(NodeKind::Ours), Copier::Node(NodeKind::InProcess), Copier::Curl];
        if options.reference_bytes.0 > 0 {
            match too_much(NodeKind::Reference, bytes.0)? {
                None => all.push(Copier::Node(NodeKind::Reference)),
                Some(refused) => table.note(format!("{bytes}: the reference node was {refused}.")),
            }
        }
        let copied = copies(site, &devnet, (all, bytes), options.repeat.max(1)).await?;
        let curls = copied.iter().find(|times| times.who == Copier::Curl).map_or(0.0, |it| it.took().median);
        for times in &copied {
            table.row(times.who.to_string(), Some(bytes.0 as f64), times.figures(bytes, curls));
        }
    }
    devnet.shutdown().await;
    table.note(format!("With {curl}."));
    report.table(table);
    Ok(())
}

/// What each copier needs for each of so many copies, taking turns.
async fn copies(
    site: &Site,
    devnet: &Devnet,
    (all, bytes): (Vec<Copier>, Size),
    repeat: usize,
) -> Result<Vec<Times>> {
    let mut all: Vec<Times> = all.into_iter().map(|who| Times { who, copies: Vec::new() }).collect();
    let input = site::input(devnet, bytes.0).await?;
    for round in 0..repeat {
        progress(format_args!("copies of {bytes}, round {} of {repeat}", round + 1));
        // There and back: what a copy leaves in the caches makes the next one faster or slower.
        if round > 0 {
            all.reverse();
        }
        for times in &mut all {
            let copy = match times.who {
                Copier::Curl => by_curl(devnet, input, bytes.0).await?,
                Copier::Node(kind) => by_node(site, devnet, kind, (input, bytes.0)).await?,
            };
            times.copies.push(copy);
            site::take_artifact(devnet, input).await?;
            site.sweep()?;
        }
    }
    all.sort_by_key(|times| times.who);
    Ok(all)
}

impl fmt::Display for Copier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Curl => f.write_str("`curl` into `curl`"),
            Self::Node(kind) => kind.fmt(f),
        }
    }
}

async fn by_curl(devnet: &Devnet, input: Uuid, bytes: u64) -> Result<Copy> {
    site::warm(devnet, input).await?;
    let before = processor_time("self")?;
    let took = curl::copy(devnet, input, bytes).await?;
    let after = processor_time("self")?;
    // The servers are in this process.
    Ok(Copy { took, used: [after.children - before.children, after.own - before.own], peak: None })
}

/// Starts a process for each copy: an idle node that polls would disturb the other measurements.
async fn by_node(site: &Site, devnet: &Devnet, kind: NodeKind, (input, bytes): (Uuid, u64)) -> Result<Copy> {
    let node = MeasuredNode::start(site, devnet, kind).await?;
    let pid = node.pid();
    site::warm(devnet, input).await?;
    reset_peak(&pid)?;
    let before = (cost(&pid)?, processor_time("self")?.own);
    let copied = node.copy(input, bytes).await?;
    let (used, servers) = (cost(&pid)?.since(before.0), processor_time("self")?.own - before.1);
    let peak = Some(field(&pid, "VmHWM:")?);
    node.end().await;
    // With the sandbox process, which waits for the next task.
    Ok(Copy { took: copied.took, used: [used.own + used.children, servers], peak })
}
