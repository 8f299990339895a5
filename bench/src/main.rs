//! Measures what docs/benchmarks.md claims, both sides of a comparison in one run, prints the tables as Markdown, and writes
//! that document. `cargo xtask bench` builds everything in release mode and says where it is.

mod all;
mod compute;
mod cpu;
mod document;
mod fleet;
mod inputs;
mod instructions;
mod memory;
mod node;
mod peers;
mod plugins;
mod ports;
mod report;
mod results;
mod runners;
mod scene;
mod size;
mod soak;
mod storage;
mod tasks;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::report::Report;

/// Measures posemesh-node.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Everything, into docs/benchmarks.md and bench/results.json (this is what no command means)
    All(all::Options),
    /// A runner that computes, next to the same code built for the machine
    Compute(compute::Options),
    /// docs/benchmarks.md and its plots anew, from bench/benchmarks.md and bench/results.json: nothing is measured
    Document,
    /// A thousand nodes for one job server, in simulation: calls a second, and what a common restart does
    Fleet(fleet::Options),
    /// Very many small inputs of one task, next to the reference node
    Inputs(inputs::Options),
    /// Instructions of the most frequent paths, counted, against bench/instructions.json
    Instructions(instructions::Options),
    /// A node by itself: its start, its idling, and very many tasks at once
    Node(node::Options),
    /// The plugin host next to Extism and to a process a task
    Peers(peers::Options),
    /// The plugin host: time of a task, of loading and of swapping, memory
    Plugins(plugins::Options),
    /// A node with ever more runners: its start and its memory
    Runners(runners::Options),
    /// Very many tasks, with faults: what a node has grown by, and whether its history is right
    Soak(soak::Options),
    /// Storage: memory and throughput of a node that copies artifacts, next to curl and to the
    /// reference node
    Storage(storage::Options),
    /// Whole tasks that do nothing: how many a second, how long one takes, and what it costs
    Tasks(tasks::Options),
}

// The servers are here, too: with several threads that wake each other they would take more of the machine from what is
// measured.
#[tokio::main(worker_threads = 1)]
async fn main() -> Result<()> {
    let mut report = Report::default();
    let report = &mut report;
    match Args::parse().what.unwrap_or_else(|| What::All(all::Options::default())) {
        What::All(options) => all::measure(&options).await,
        What::Compute(options) => compute::measure(&options, report).await,
        What::Document => {
            let files = all::files(false)?;
            files.write_document(&results::Results::read(&files.results())?)
        }
        What::Fleet(options) => fleet::measure(&options, report).await,
        What::Inputs(options) => inputs::measure(&options, report).await,
        What::Instructions(options) => instructions::measure(&options).await,
        What::Node(options) => node::measure(&options, report).await,
        What::Peers(options) => peers::measure(&options, report).await,
        What::Plugins(options) => plugins::measure(&options, report).await,
        What::Runners(options) => runners::measure(&options, report).await,
        What::Soak(options) => soak::measure(&options).await,
        What::Storage(options) => storage::measure(&options, report).await,
        What::Tasks(options) => tasks::measure(&options, report).await,
    }
}
