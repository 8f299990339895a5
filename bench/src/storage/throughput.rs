//! Throughput: the same bytes copied by our node, by curl and by the reference node, taking turns.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use posemesh_devnet::Devnet;
use uuid::Uuid;

use super::site::{self, Site};
use super::worker::{Side, Worker};
use super::{Options, curl, too_much};
use crate::cpu;
use crate::sample::{Sample, Short};
use crate::size::Size;

/// Who copies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Curl,
    Node(Side),
}

/// One copy.
struct Copy {
    took: Duration,
    /// Processor time of who copied, and of the servers.
    used: [Duration; 2],
}

/// All copies of one.
struct Times {
    who: Who,
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
        format!("{} | {}", Short(own.median()), Short(servers.median()))
    }
}

/// Prints the table.
pub async fn measure(site: &Site, options: &Options, curl: &str) -> Result<()> {
    let bytes = options.throughput_bytes;
    let mut all = vec![Who::Node(Side::Ours), Who::Curl];
    let mut refused = None;
    if options.reference_bytes.0 > 0 {
        refused = too_much(Side::Reference, bytes.0)?;
        all.extend(refused.is_none().then_some(Who::Node(Side::Reference)));
    }
    let mut all: Vec<Times> = all.into_iter().map(|who| Times { who, copies: Vec::new() }).collect();

    let devnet = site.devnet(options.part_size()).await?;
    let input = site::input(&devnet, bytes.0).await?;
    for _ in 0..options.repeat.max(1) {
        for times in &mut all {
            let copy = match times.who {
                Who::Curl => by_curl(&devnet, input, bytes.0).await?,
                Who::Node(side) => by_node(site, &devnet, side, (input, bytes.0)).await?,
            };
            times.copies.push(copy);
            site::take_artifact(&devnet, input).await?;
            site.sweep()?;
        }
    }
    devnet.shutdown().await;

    println!(
        "## Copying {bytes} from a domain server back to it ({} times each, taking turns; {curl})\n",
        options.repeat.max(1)
    );
    println!(
        "| who | median | fastest | slowest | throughput | of curl's | processor time | of the servers |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let curls = all.iter().find(|times| times.who == Who::Curl).map(|times| times.sample().median());
    for times in &all {
        let sample = times.sample();
        let (median, (fastest, slowest)) = (sample.median(), sample.range());
        let ratio = curls.unwrap_or_default().as_secs_f64() / median.as_secs_f64();
        println!(
            "| {} | {} | {} | {} | {:.0} MiB/s | {ratio:.2} | {} |",
            times.who,
            Short(median),
            Short(fastest),
            Short(slowest),
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

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Curl => f.write_str("`curl` into `curl`"),
            Self::Node(side) => side.fmt(f),
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
    let before = cpu::used("self")?;
    let took = curl::copy(devnet, input, bytes).await?;
    let after = cpu::used("self")?;
    // The servers are in this process.
    Ok(Copy { took, used: [after.children - before.children, after.own - before.own] })
}

/// In a process of its own each time: nobody polls while another one is measured.
async fn by_node(site: &Site, devnet: &Devnet, side: Side, (input, bytes): (Uuid, u64)) -> Result<Copy> {
    let worker = Worker::start(site, devnet, side).await?;
    let pid = worker.pid();
    site::warm(devnet, input).await?;
    let before = [cpu::used(&pid)?.own, cpu::used("self")?.own];
    let copied = worker.copy(input, bytes).await?;
    let after = [cpu::used(&pid)?.own, cpu::used("self")?.own];
    worker.end().await;
    let [own, servers] = [after[0] - before[0], after[1] - before[1]];
    Ok(Copy { took: copied.took, used: [own, servers] })
}
