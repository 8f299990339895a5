//! What is measured of storage, and where.

use std::path::PathBuf;

use clap::Args;

use crate::size::Size;

/// What is measured, and where.
#[derive(Args)]
pub(crate) struct Options {
    /// Size of the artifact for the measurement of memory
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub(crate) bytes: Size,
    /// The same for the reference node, which holds several whole copies in memory; 0 skips that node
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub(crate) reference_bytes: Size,
    /// Part sizes of upload sessions, which the server chooses; the first is used for throughput
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "8MiB,64MiB,256MiB")]
    pub(crate) part_sizes: Vec<Size>,
    /// Size of the artifact for the measurement of throughput
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) throughput_bytes: Size,
    /// How often each copies it
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    pub(crate) repeat: usize,
    /// Folder for three times the largest artifact, on a disk. Default: the folder for temporary files
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

impl Options {
    /// Part size of everything but the table of part sizes.
    pub(crate) fn part_size(&self) -> u64 {
        self.part_sizes.first().map_or(8 << 20, |size| size.0)
    }
}
