//! Throughput: the same bytes copied by our node, by curl and by the reference node, taking turns.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use posemesh_devnet::Devnet;
use uuid::Uuid;

use crate::cpu::{cost, processor_time};
use crate::sample::{Sample, ThreeDigits};
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
}

/// All copies of one copier.
struct Times {
    who: Copier,
    copies: Vec<Copy>,
}

impl Times {
    fn sample(&self) -> Sample {
        Sample::new(self.copies.iter().map(|copy| copy.took).collect())
    }

    /// Two cells: the median of processor time.
    fn used(&self) -> String {
        let own = Sample::new(self.copies.iter().map(|copy| copy.used[0]).collect());
        let servers = Sample::new(self.copies.iter().map(|copy| copy.used[1]).collect());
        format!("{} | {}", ThreeDigits(own.median()), ThreeDigits(servers.median()))
    }
}

/// Prints the table.
pub(crate) async fn measure(site: &Site, options: &Options, curl: &str) -> Result<()> {
    let bytes = options.throughput_bytes;
    let mut all = vec![Copier::Node(NodeKind::Ours), Copier::Node(NodeKind::InProcess), Copier::Curl];
    let mut refused = None;
    if options.reference_bytes.0 > 0 {
        refused = too_much(NodeKind::Reference, bytes.0)?;
        all.extend(refused.is_none().then_some(Copier::Node(NodeKind::Reference)));
    }
    let mut all: Vec<Times> = all.into_iter().map(|who| Times { who, copies: Vec::new() }).collect();

    let devnet = site.devnet(options.part_size()).await?;
    let input = site::input(&devnet, bytes.0).await?;
    for round in 0..options.repeat.max(1) {
        // There and back: what a copy leaves in the caches makes the next one faster or slower.
        if round > 0 {
            all.reverse();
        }
        for times in &mut all {
            let copy = match times.who {
                Copier::Curl => by_curl(&devnet, input, bytes.0).await?,
                Copier::Node(kind) => by_node(site, &devnet, kind, (input, bytes.0)).await?,
            };
            times.copies.push(copy);
            site::take_artifact(&devnet, input).await?;
            site.sweep()?;
        }
    }
    devnet.shutdown().await;
    all.sort_by_key(|times| times.who);

    println!(
        "## Copying {bytes} from a domain server back to it ({} times each, taking turns; {curl})\n",
        options.repeat.max(1)
    );
    println!(
        "| who | median | fastest | slowest | throughput | of curl's | processor time | of the servers |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let curls = all.iter().find(|times| times.who == Copier::Curl).map(|times| times.sample().median());
    for times in &all {
        let sample = times.sample();
        let (median, (fastest, slowest)) = (sample.median(), sample.range());
        let ratio = curls.unwrap_or_default().as_secs_f64() / median.as_secs_f64();
        println!(
            "| {} | {} | {} | {} | {:.0} MiB/s | {ratio:.2} | {} |",
            times.who,
            ThreeDigits(median),
            ThreeDigits(fastest),
            ThreeDigits(slowest),
            per_second(bytes, median),
            times.used()
        );
    }
    if let Some(refused) = refused {
        println!("\nThe reference node was {refused}.");
    }
    println!();
    Ok(())
}

impl fmt::Display for Copier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Curl => f.write_str("`curl` into `curl`"),
            Self::Node(kind) => kind.fmt(f),
        }
    }
}

/// MiB a second.
fn per_second(bytes: Size, took: Duration) -> f64 {
    // Sizes of a bench are far below 2^52 bytes.
    #[allow(clippy::cast_precision_loss)]
    let mib = bytes.0 as f64 / f64::from(1 << 20);
    mib / took.as_secs_f64()
}

async fn by_curl(devnet: &Devnet, input: Uuid, bytes: u64) -> Result<Copy> {
    site::warm(devnet, input).await?;
    let before = processor_time("self")?;
    let took = curl::copy(devnet, input, bytes).await?;
    let after = processor_time("self")?;
    // The servers are in this process.
    Ok(Copy { took, used: [after.children - before.children, after.own - before.own] })
}

/// Starts a process for each copy: an idle node that polls would disturb the other measurements.
async fn by_node(site: &Site, devnet: &Devnet, kind: NodeKind, (input, bytes): (Uuid, u64)) -> Result<Copy> {
    let node = MeasuredNode::start(site, devnet, kind).await?;
    let pid = node.pid();
    site::warm(devnet, input).await?;
    let before = (cost(&pid)?, processor_time("self")?.own);
    let copied = node.copy(input, bytes).await?;
    let (used, servers) = (cost(&pid)?.since(before.0), processor_time("self")?.own - before.1);
    node.end().await;
    // With the sandbox process, which waits for the next task.
    Ok(Copy { took: copied.took, used: [used.own + used.children, servers] })
}
