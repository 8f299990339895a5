//! Measures what docs/benchmarks.md claims, both sides of a comparison in one run, and prints the tables as
//! Markdown. `cargo xtask bench` builds everything in release mode and says where it is.

mod cpu;
mod inputs;
mod memory;
mod node;
mod plugins;
mod sample;
mod scene;
mod size;
mod storage;
mod tasks;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures posemesh-node.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Very many small inputs of one task, next to the reference node
    Inputs(inputs::Options),
    /// A node by itself: its start, its idling, and very many tasks at once
    Node(node::Options),
    /// The plugin host: time of a task, of loading and of swapping, memory
    Plugins,
    /// Storage: memory and throughput of a node that copies a large artifact, next to curl and to the
    /// reference node
    Storage(storage::Options),
    /// Whole tasks that do nothing: how many a second, how long one takes, and what it costs
    Tasks(tasks::Options),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().what {
        What::Inputs(options) => inputs::measure(&options).await,
        What::Node(options) => node::measure(&options).await,
        What::Plugins => plugins::measure().await,
        What::Storage(options) => storage::measure(&options).await,
        What::Tasks(options) => tasks::measure(&options).await,
    }
}
