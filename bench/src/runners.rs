//! A node with ever more runners: how soon it asks for work, what its start costs, and what it holds then.

use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_tests::by_hand::{Parts, runner};

use crate::cpu::cost;
use crate::memory::field;
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};
use crate::scene::Scene;

/// After its start, before its memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// Functions of each runner.
const FUNCTIONS: usize = 500;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many runners a node has, with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50, 100, 200])]
    runners: Vec<u32>,
    /// Starts with each number, after one that compiles
    #[arg(long, default_value_t = 7)]
    starts: usize,
}

/// What one start was like.
struct Start {
    took: Duration,
    used: Duration,
    resident: u64,
    own: u64,
}

/// Measures nodes with ever more runners.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let mut table = Table::new("start", "A node with many runners, all in the cache of compiled code")
        .by("runners")
        .column("to the first request for work", Unit::Seconds)
        .column("processor time until a second later", Unit::Seconds)
        .column("resident memory of the node", Unit::Bytes)
        .column("of that its own", Unit::Bytes);
    for &runners in &options.runners {
        progress(format_args!("a node with {runners} runners"));
        let starts = starts(runners, options.starts.max(1)).await?;
        let of = |value: &dyn Fn(&Start) -> f64| Some(Figure::of(starts.iter().map(value).collect()));
        let figures = [
            of(&|start| start.took.as_secs_f64()),
            of(&|start| start.used.as_secs_f64()),
            of(&|start| start.resident as f64),
            of(&|start| start.own as f64),
        ];
        table.row("posemesh-node", Some(f64::from(runners)), figures);
    }
    report.table(table);
    Ok(())
}

async fn starts(runners: u32, starts: usize) -> Result<Vec<Start>> {
    let site = Scene::empty(1).await?;
    for number in 0..runners {
        let name = format!("runner-{number}");
        let code = format!("(func (result i32) (i32.const {number}))").repeat(FUNCTIONS);
        let bytes = runner(&name, &Parts { fields: &code, ..Parts::default() });
        let path = site.path("plugins").join(name).with_extension("wasm");
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    let mut measured = Vec::new();
    for number in 0..=starts {
        let (mut node, took) = site.start(&[]).await?;
        let pid = node.id().to_string();
        tokio::time::sleep(SETTLE).await;
        let used = cost(&pid).context("reading what the start cost")?;
        // The first compiles.
        if number > 0 {
            let (resident, own) = (field(&pid, "VmRSS:")?, field(&pid, "RssAnon:")?);
            measured.push(Start { took, used: used.own + used.children, resident, own });
        }
        node.terminate().await;
    }
    site.devnet.shutdown().await;
    Ok(measured)
}
