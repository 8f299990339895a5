//! The folders and files of the node: whether it can use them, who else may change them, and what is free in them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::finding::{Area, Finding, Report};
use crate::admission::{SPARE_BYTES, SPARE_INODES, free_space};
use crate::config::Config;
use crate::folders::{Folders, warnings};

/// How long a file system may take to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Free bytes below which a busy node is likely to run short.
const FEW_BYTES: u64 = 1 << 30;
/// Free inodes below which a busy node is likely to run short.
const FEW_INODES: u64 = 10_000;

pub(super) async fn examine(config: &Config, report: Report<'_>) {
    let looked = config.clone();
    // These ask file systems, which may take a while or not answer at all.
    match timeout(LOOK_TIMEOUT, spawn_blocking(move || look(&looked))).await {
        Ok(Ok(findings)) => findings.into_iter().for_each(report),
        _ => report(Finding::error(
            Area::Folders,
            format_args!("the folders did not answer within {} s", LOOK_TIMEOUT.as_secs()),
            "are their file systems there? `mount` and `df` tell",
        )),
    }
}

fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let obstacles = config.obstacles();
    let of_addresses = ["STATUS_ADDR", "LEGACY_HTTP_ADDR"];
    for obstacle in obstacles.iter().filter(|obstacle| !of_addresses.contains(&obstacle.variable)) {
        let text = format!("{}={}: {}", obstacle.variable, obstacle.value, obstacle.what);
        findings.push(Finding::error(Area::Folders, text, obstacle.cure));
    }
    let Folders { plugins, cache, work, data, .. } = config.folders();
    let log = config.log.file.as_ref().map(|file| file.path.clone());
    let places = [
        ("WORK_DIR", Some(work), Use::Vital),
        ("CACHE_DIR", Some(cache), Use::Written),
        ("DATA_DIR", data, Use::Written),
        ("AUDIT_LOG", config.paths.audit.clone(), Use::Written),
        ("LOG_FILE", log, Use::Written),
        ("PLUGINS_DIR", Some(plugins), Use::Read),
    ];
    for (variable, path, used) in places {
        if let Some(path) = path
            && obstacles.iter().all(|obstacle| obstacle.variable != variable)
        {
            findings.extend(free(variable, &path, used));
        }
    }
    // Of a folder that can't be used it does not matter who else may change it.
    let is_usable = |warning: &String| obstacles.iter().all(|one| !warning.starts_with(one.variable));
    let open = warnings(&config.folders()).into_iter().filter(is_usable);
    // Each says what helps.
    findings.extend(open.map(|warning| Finding::warning(Area::Folders, warning, "")));
    findings
}

/// What the node does with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Without room there it takes no lease.
    Vital,
    Written,
    Read,
}

/// What is free for a folder or a file, or for the folder that it will be made in.
fn free(variable: &str, path: &Path, used: Use) -> Option<Finding> {
    let place: PathBuf = std::path::absolute(path).ok()?;
    let place = place.ancestors().find(|place| place.is_dir())?;
    let free = free_space(place).ok()?;
    let inodes = free.inodes.map_or(String::new(), |inodes| format!(" and {inodes} inodes"));
    let text = format!("{variable}={}: {} MiB{inodes} are free", path.display(), free.bytes >> 20);
    let less_than = |bytes, inodes| free.bytes < bytes || free.inodes.is_some_and(|there| there < inodes);
    Some(if used == Use::Vital && less_than(SPARE_BYTES, SPARE_INODES) {
        let cure = format!("free some space, or choose another {variable}: so the node takes no lease");
        Finding::error(Area::Folders, text, cure)
    } else if used != Use::Read && less_than(FEW_BYTES, FEW_INODES) {
        Finding::warning(Area::Folders, text, format_args!("free some space, or choose another {variable}"))
    } else {
        Finding::ok(Area::Folders, text)
    })
}
