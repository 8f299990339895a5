//! The log.

use std::path::PathBuf;

use super::reader::SettingsReader;
use super::traces;
use super::variable::{Group, Variable};
use crate::telemetry::{LogFile, LogFormat, LogSettings, check_filter};

/// The largest log file unless the operator says otherwise, in bytes.
const MAX_BYTES: u64 = 32 << 20;
/// How many are kept beside it.
const KEPT: u32 = 4;

pub(super) fn read(reader: &mut SettingsReader<'_>, allow_insecure_http: bool) -> LogSettings {
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
    LogSettings { format, filter, file: read_file(reader), traces: traces::read(reader, allow_insecure_http) }
}

fn read_file(reader: &mut SettingsReader<'_>) -> Option<LogFile> {
    let path = reader.optional(
        &Variable::new(
            Group::Log,
            "LOG_FILE",
            "A file that the log is appended to instead of standard error. A new one is readable by this user alone; it may \
             be renamed at any time.",
        ),
        "off",
        "the path of a file, or `off`",
        |text| Ok::<_, String>(text.to_owned()),
    );
    let max_bytes = reader.bytes(
        &Variable::new(
            Group::Log,
            "LOG_FILE_MAX_BYTES",
            "The size at which `LOG_FILE` is moved aside, to `LOG_FILE.1`, and a new one is begun.",
        ),
        MAX_BYTES,
        64 << 10..=64 << 30,
    );
    let kept = reader.integer(
        &Variable::new(
            Group::Log,
            "LOG_FILES_KEPT",
            "How many files are kept beside `LOG_FILE`, from `LOG_FILE.1` on; the oldest goes.",
        ),
        KEPT,
        0..=100,
    );
    Some(LogFile { path: PathBuf::from(path?), max_bytes, kept })
}
