//! Measures what the documentation claims, both sides of a comparison in one run, and prints it as
//! Markdown. `cargo xtask bench` builds everything in release mode and says where it is.

mod memory;
mod plugins;
mod sample;

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
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().what {
        What::Plugins => plugins::measure().await,
    }
}
