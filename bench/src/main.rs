//! Measures what the documentation claims, both sides of a comparison in one run, and prints it as
//! Markdown. `cargo xtask bench` builds everything in release mode and says where it is.

mod cpu;
mod memory;
mod plugins;
mod sample;
mod size;
mod storage;

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
    /// The plugin host: what a task costs, loading, swapping, memory
    Plugins,
    /// Storage: the memory of a node that copies a large artifact, its throughput next to curl's, and both
    /// for the reference node
    Storage(storage::Options),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().what {
        What::Plugins => plugins::measure().await,
        What::Storage(options) => storage::measure(&options).await,
    }
}
