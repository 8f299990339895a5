//! The arguments of commands that ask the history of a node, which need not run.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use posemesh_node_core::archive::{Archived, Asked, database_in};
use posemesh_text::one_line;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::settings::SettingsArgs;

/// How much of a digest is shown.
const DIGEST: usize = 12;
/// How much of a node's name is shown.
const NODE: usize = 10;

/// Which entries of the history are shown.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only from a time on: RFC 3339 (2026-11-26T08:00:00Z), or so long ago (90m, 12h, 7d).
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<OffsetDateTime>,
    /// Only those of this node, where several share DATA_DIR: the address of its wallet or its beginning, or `robot`.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// At most so many, the newest.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Print one JSON object, oldest entry first.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl HistoryArgs {
    /// The history of the node with these settings, and what is asked of it.
    ///
    /// # Errors
    /// When settings or history can't be read, or the node keeps none.
    pub(crate) fn open(&self, failed: bool, runner: Option<&str>) -> Result<(Archived, Asked)> {
        let environment = self.settings.environment()?;
        let Some(data_dir) = environment.data_dir() else {
            bail!("DATA_DIR=off, or neither it nor HOME is set: this node keeps no history");
        };
        let archived =
            Archived::open(&database_in(&data_dir)).context("DATA_DIR says where the history is")?;
        let runner = runner.map(str::to_owned);
        let node = self.node.clone();
        Ok((archived, Asked { since: self.since, failed, runner, node, limit: self.limit }))
    }
}

/// How a digest is shown where people look: its start tells two of them apart.
pub(crate) fn short(sha256: &str) -> String {
    one_line(sha256.get(..DIGEST).unwrap_or(sha256), DIGEST)
}

/// How a node is shown in a line: the beginning of its address tells one of a fleet, and finds it with `--node`.
pub(crate) fn short_node(node: &str) -> String {
    one_line(node.get(..NODE).unwrap_or(node), NODE)
}

/// A time, as it is typed.
fn since(typed: &str) -> Result<OffsetDateTime, String> {
    if let Ok(at) = OffsetDateTime::parse(typed, &Rfc3339) {
        return Ok(at);
    }
    let allowed = || "RFC 3339 such as 2026-11-26T08:00:00Z, or a number with s, m, h or d".to_owned();
    let unit = typed.chars().last().ok_or_else(allowed)?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(allowed()),
    };
    let count: i64 = typed.trim_end_matches(unit).parse().map_err(|_| allowed())?;
    let ago = count.checked_mul(secs).filter(|ago| *ago >= 0).map(time::Duration::seconds);
    let at = ago.and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago));
    at.ok_or_else(|| format!("{typed} is before all time"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        assert_eq!(since("1970-01-01T00:00:07Z").unwrap().unix_timestamp(), 7);
        let ago = |typed| {
            let at = since(typed).unwrap();
            (OffsetDateTime::now_utc() - at).whole_minutes()
        };
        assert_eq!((ago("90m"), ago("2h"), ago("7d"), ago("60s")), (90, 120, 7 * 24 * 60, 1));
        for wrong in ["", "h", "-1h", "12", "1y", "yesterday", "99999999999999999d", "é"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
