//! The noop runner.

use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use crate::noop::NoopSettings;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> NoopSettings {
    let default = NoopSettings::default();
    NoopSettings {
        enabled: reader.boolean(
            &Variable::new(
                Group::Noop,
                "ENABLE_NOOP",
                "Whether the noop runner, which only sleeps, may be live. Its file, `noop.wasm`, has to be in `PLUGINS_DIR` \
                 too; log, `config check` and `/ready` say so when it is not.",
            ),
            default.enabled,
        ),
        sleep: reader.seconds(
            &Variable::new(
                Group::Noop,
                "NOOP_SLEEP_SECS",
                "How long the noop runner sleeps when its task does not say, in seconds.",
            ),
            default.sleep,
            0..=86_400,
        ),
    }
}
