//! The log.

use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use crate::telemetry::{LogFormat, LogSettings, check_filter};

pub(super) fn read(reader: &mut SettingsReader<'_>) -> LogSettings {
    let default = LogSettings::default();
    let format = reader.choice(
        &Variable::new(Group::Log, "LOG_FORMAT", "One JSON object a line, or text for people.")
            .section("8.1"),
        default.format,
        &[("json", LogFormat::Json), ("text", LogFormat::Text)],
    );
    let filter = reader.value(
        &Variable::new(
            Group::Log,
            "RUST_LOG",
            "Which lines are logged: a level, and levels for parts. All parts of the node begin with `posemesh`.",
        )
        .section("8.1"),
        default.filter,
        "a filter such as `info` or `info,posemesh=debug`",
        |text| check_filter(text).map(|()| text.to_owned()).map_err(|error| error.to_string()),
    );
    LogSettings { format, filter }
}
