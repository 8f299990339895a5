//! The servers that the node works for, and how they did lately.

use posemesh_net::clock::TOLERATED_SKEW_SECS;
use posemesh_net::meter::HostView;
use serde::Serialize;

use crate::registration::RegistrationStatus;
use crate::status::about::Link;
use crate::status::sources::StatusSources;

#[derive(Serialize)]
pub(super) struct DdsView {
    #[serde(flatten)]
    link: Link,
    registration: String,
    registered: bool,
    /// How the last registration failed, if it did.
    error: Option<String>,
    token_valid_secs: Option<u64>,
    token_renewals: u64,
    /// How the last login failed, if it did.
    token_error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct DmsView {
    #[serde(flatten)]
    link: Link,
    /// Seconds since a request for work was answered.
    answered_secs_ago: Option<u64>,
    /// How the last request for work failed, if it did.
    error: Option<String>,
    /// What the last request for work brought: `lease`, `no_work`, `busy`, `unreadable` or `failed`.
    last_poll: Option<&'static str>,
    last_poll_secs_ago: Option<u64>,
}

impl DdsView {
    pub(super) fn of(sources: &StatusSources) -> Self {
        let StatusSources { about, readiness, .. } = sources;
        let registration = *readiness.registration.borrow();
        let token = (readiness.token)();
        Self {
            link: about.dds.clone(),
            registration: registration.to_string(),
            registered: registration == RegistrationStatus::Registered,
            error: (readiness.registration_error)(),
            token_valid_secs: token.valid_for.map(|left| left.as_secs()),
            token_renewals: token.renewals,
            token_error: token.last_error.map(|error| error.to_string()),
        }
    }
}

impl DmsView {
    pub(super) fn of(sources: &StatusSources) -> Self {
        let polls = sources.records.polls();
        let (last_poll, ago) = polls.last().unzip();
        Self {
            link: sources.about.dms.clone(),
            answered_secs_ago: polls.since_answer().map(|silence| silence.as_secs()),
            error: polls.error().map(str::to_owned),
            last_poll,
            last_poll_secs_ago: ago.map(|ago| ago.as_secs()),
        }
    }
}

/// A server that was asked lately.
#[derive(Serialize)]
pub(super) struct ServerView {
    /// `dds`, `dms` or `domain_server`.
    kind: &'static str,
    /// Host and port, and the proxy in between.
    through: String,
    /// Requests of the last five minutes, and those that failed.
    requests: u64,
    failed: u64,
    succeeded_secs_ago: Option<u64>,
    failed_secs_ago: Option<u64>,
    /// How the last one that failed did.
    error: Option<String>,
    /// By how many seconds its clock is ahead, by its last answer.
    clock_ahead_secs: Option<f64>,
    /// Whether that is more than is tolerated.
    clock_off: bool,
}

impl ServerView {
    pub(super) fn of(view: HostView) -> Self {
        let (failed_secs_ago, error) = view.failed_ago.map(|(ago, error)| (ago.as_secs(), error)).unzip();
        Self {
            kind: view.peer,
            through: view.host,
            requests: view.requests,
            failed: view.failed,
            succeeded_secs_ago: view.succeeded_ago.map(|ago| ago.as_secs()),
            failed_secs_ago,
            error,
            clock_ahead_secs: view.clock_ahead,
            clock_off: view.clock_ahead.is_some_and(|ahead| ahead.abs() > TOLERATED_SKEW_SECS),
        }
    }
}
