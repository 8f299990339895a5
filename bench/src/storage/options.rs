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
    /// Sizes of the artifacts for the measurement of throughput
    #[arg(
        long,
        value_name = "SIZES",
        value_delimiter = ',',
        default_value = "1MiB,8MiB,64MiB,512MiB,1GiB,4GiB"
    )]
    pub(crate) sizes: Vec<Size>,
    /// How often each copies each of them
    #[arg(long, value_name = "TIMES", default_value_t = 5)]
    pub(crate) repeat: usize,
    /// Folder for three times the largest artifact, on a disk. Default: the folder for temporary files
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

impl Options {
    /// Leaves out larger artifacts than this.
    pub(crate) fn at_most(&mut self, largest: Size, dir: Option<PathBuf>) {
        let largest = largest.0;
        self.sizes.retain(|size| size.0 <= largest);
        for size in [&mut self.bytes, &mut self.reference_bytes] {
            size.0 = size.0.min(largest);
        }
        self.dir = dir.or(self.dir.take());
    }

    /// Part size of everything but the table of part sizes.
    pub(crate) fn part_size(&self) -> u64 {
        self.part_sizes.first().map_or(8 << 20, |size| size.0)
    }
}
