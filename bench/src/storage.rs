//! Storage: the memory of a node that copies an artifact much larger than that, and its throughput next to
//! curl's. The reference node does the same in the same run.

mod curl;
mod limits;
mod memory;
mod node;
mod node_kind;
mod noise;
mod options;
mod site;
mod throughput;

use anyhow::{Result, ensure};

pub(crate) use self::options::Options;
use self::site::Site;
use crate::report::Report;

/// Measures everything.
///
/// # Errors
/// When something can't be set up, a copy fails or differs from its input, or our node took more memory than
/// is claimed.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    // First, since everything else takes minutes.
    let curl = curl::version().await?;
    let site = Site::open(options.dir.as_deref())?;
    let claim_holds = memory::measure(&site, options, report).await?;
    throughput::measure(&site, options, &curl, report).await?;
    // Last, so that a broken claim costs no figures.
    ensure!(claim_holds, "the claim about memory does not hold: see the first table");
    Ok(())
}
