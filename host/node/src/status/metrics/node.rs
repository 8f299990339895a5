//! The node itself: whether it can work, and why not.

use super::catalog::{
    AUDIT_LINES_LOST, BUILD_INFO, DRAINING, HISTORY_FAILING, HISTORY_LOST, LEASING_PAUSED, LOG_LINES_DROPPED,
    NOT_READY, READY, REGISTERED, STATUS_CONNECTIONS,
};
use super::text::MetricsText;
use crate::admission::Cause;
use crate::meters;
use crate::registration::RegistrationStatus;
use crate::status::build::COMMIT;
use crate::status::reason::Reason;
use crate::status::sources::StatusSources;

pub(super) fn write(out: &mut MetricsText, sources: &StatusSources) {
    let built_from = [env!("CARGO_PKG_VERSION"), COMMIT, std::env::consts::ARCH];
    out.family(&BUILD_INFO, [(built_from, 1_u64)]);
    let readiness = &sources.readiness;
    let missing = readiness.findings();
    out.one(&READY, missing.is_empty());
    let is_missing = |reason: Reason| ([reason.as_str()], missing.iter().any(|one| one.reason == reason));
    out.family(&NOT_READY, Reason::all().map(is_missing));
    let troubles = readiness.board.list();
    let paused =
        Cause::ALL.map(|cause| ([cause.as_str()], troubles.iter().any(|trouble| trouble.cause == cause)));
    out.family(&LEASING_PAUSED, paused);
    out.one(&DRAINING, readiness.shutdown.draining().is_some());
    out.one(&REGISTERED, *readiness.registration.borrow() == RegistrationStatus::Registered);
    out.one(&STATUS_CONNECTIONS, meters::CONNECTIONS.now());
    out.one(&LOG_LINES_DROPPED, crate::telemetry::dropped_lines());
    out.one(&AUDIT_LINES_LOST, sources.audit.lost_lines());
    let history = sources.archive.view();
    out.one(&HISTORY_LOST, history.lost);
    out.one(&HISTORY_FAILING, u64::from(history.error.is_some()));
}
