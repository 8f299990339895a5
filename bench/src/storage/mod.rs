//! Storage: what a node holds in memory while it copies an artifact much larger than that, and how fast it
//! is next to curl. The reference node does the same in the same run.

mod curl;
mod held;
mod noise;
mod site;
mod throughput;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use self::site::Site;
use self::worker::Side;
use crate::memory;
use crate::size::{Mib, Size};

/// Of the blob: what the reference node must find available. It holds the blob twice, in a vector and in a
/// copy of it that goes to the disk, and the rest of the machine wants to live.
const REFERENCE_HOLDS: u64 = 3;

/// How much is measured, and where.
#[derive(Args)]
pub struct Options {
    /// The artifact whose copying must not take memory
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    bytes: Size,
    /// The same for the reference node, which holds it whole, several times; 0 leaves that node out
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    reference_bytes: Size,
    /// Part sizes of upload sessions, which the server dictates; the first is used for throughput
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "8MiB,64MiB,256MiB")]
    part_sizes: Vec<Size>,
    /// The artifact whose copying is timed
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    throughput_bytes: Size,
    /// How often each side copies it
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    repeat: usize,
    /// Where everything lies meanwhile: three times the largest artifact, on a disk. The folder for temporary
    /// files if not given
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Options {
    /// The part size of everything but the table of part sizes.
    fn part_size(&self) -> u64 {
        self.part_sizes.first().map_or(8 << 20, |size| size.0)
    }
}

/// Measures everything and prints a table for each part.
///
/// # Errors
/// When something can't be built up, a side fails, what it stored is not what it was given, or our node
/// took more memory than is claimed.
pub async fn measure(options: &Options) -> Result<()> {
    // Before the minutes that everything else takes.
    let curl = curl::version().await?;
    let site = Site::open(options.dir.as_deref())?;
    let held = held::measure(&site, options).await?;
    throughput::measure(&site, options, &curl).await?;
    // After everything was measured, so that a broken claim costs no figures.
    ensure!(held, "the claim about memory does not hold: see the first table");
    Ok(())
}

/// Why a side can't be asked to copy so much: the machine would go down with it.
fn too_much(side: Side, bytes: u64) -> Result<Option<String>> {
    let (needed, available) = (bytes.saturating_mul(REFERENCE_HOLDS), memory::available()?);
    if side == Side::Ours || needed <= available {
        return Ok(None);
    }
    Ok(Some(format!(
        "not measured: {side} holds an artifact of {} more than once and could take up to {} of memory, and {} \
         are available; choose less with `--reference-bytes`",
        Size(bytes),
        Mib(needed),
        Mib(available)
    )))
}

/// How long a copy may take: the machine may be slow, but nobody waits for ever.
fn patience(bytes: u64) -> Duration {
    const SLOWEST: u64 = 8 << 20;
    Duration::from_secs(120 + bytes / SLOWEST)
}
