//! What DMS answers, as the rest of the node sees it.

use posemesh_net::secret::Secret;
use posemesh_runner_api::task::Task;
use time::OffsetDateTime;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// The answer to a request for a lease (protocol 3.2).
#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    /// A task to work on.
    Lease(Box<Lease>),
    /// There is none (204).
    NoWork,
    /// This node holds a lease already (409).
    Busy,
    /// A task was leased, but the lease can't be read. With its id the task can be failed, so that DMS
    /// need not wait for the lease to expire.
    Unreadable {
        /// The task's id, if it could be found.
        task_id: Option<Uuid>,
        /// What is wrong with the lease, without quoting it.
        error: String,
    },
}

/// A leased task (protocol 3.3).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lease {
    /// The task, with the domain that the envelope names.
    pub(crate) task: Task,
    /// The task token, for the domain server only.
    pub(crate) access_token: Option<Secret>,
    /// The trace that the submitter wants the task to be part of (W3C Trace Context).
    pub(crate) traceparent: Option<String>,
    /// When the lease ends, by the clock of DMS.
    pub(crate) lease_expires_at: Option<OffsetDateTime>,
    /// What the clock of DMS showed when it answered.
    pub(crate) server_date: Option<OffsetDateTime>,
    /// When the request was sent that this answers, as far as its client says.
    pub(crate) sent: Option<Instant>,
    /// The task was cancelled before it was leased (protocol 5.1).
    pub(crate) cancel: bool,
    /// Where the data of the task's domain lies.
    pub(crate) domain_server_url: DomainServerUrl,
}

/// The `domain_server_url` of a lease. A lease with a bad one is still a lease: the task can be failed
/// with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum DomainServerUrl {
    /// An http(s) URL with a host, and without a user name or password.
    Valid(Url),
    /// No such field, or null.
    #[default]
    Missing,
    /// A value that is not such a URL.
    Invalid,
}

impl DomainServerUrl {
    /// Reads the text of the field.
    pub(super) fn read(text: &str) -> Self {
        match Url::parse(text) {
            // Other schemes, URLs without a host and URLs with credentials parse as well, but no request is made to
            // them. Told here, the task fails with this reason instead of starting a runner that can read nothing.
            Ok(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none() =>
            {
                Self::Valid(url)
            }
            _ => Self::Invalid,
        }
    }

    /// The URL.
    ///
    /// # Errors
    /// When there is none that can be used; the text goes into `details.error` of a `build_ports` failure
    /// (protocol 3.6).
    pub(crate) fn get(&self) -> Result<&Url, &'static str> {
        match self {
            Self::Valid(url) => Ok(url),
            Self::Missing => Err("the lease has no domain_server_url"),
            Self::Invalid => Err(
                "the domain_server_url of the lease is not an http(s) URL with a host and without a user name",
            ),
        }
    }
}

/// The answer to a heartbeat (protocol 3.4); every field may be missing. Fields that replace parts of the
/// task count in the answer to the initial heartbeat only.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HeartbeatAnswer {
    /// The next task token.
    pub(crate) access_token: Option<Secret>,
    /// The new end of the lease, by the clock of DMS.
    pub(crate) lease_expires_at: Option<OffsetDateTime>,
    /// What the clock of DMS showed when it answered.
    pub(crate) server_date: Option<OffsetDateTime>,
    /// When the heartbeat was sent that this answers, as far as its client says.
    pub(crate) sent: Option<Instant>,
    /// The task is to be stopped (protocol 5.1). Missing is false.
    pub(crate) cancel: bool,
    /// Replaces the task's domain.
    pub(crate) domain_id: Option<Uuid>,
    /// Replaces where the domain's data lies.
    pub(crate) domain_server_url: DomainServerUrl,
    /// Replaces the task as a whole.
    pub(crate) task: Option<Task>,
    /// Replaces the task's id, if there is no `task`; so do the next three fields.
    pub(crate) task_id: Option<Uuid>,
    /// The job that the task is part of.
    pub(crate) job_id: Option<Uuid>,
    /// Earlier attempts.
    pub(crate) attempts: Option<u32>,
    /// Attempts after which the task has failed for good.
    pub(crate) max_attempts: Option<u32>,
}

impl HeartbeatAnswer {
    /// The id that later heartbeats and the final report go to, if the answer names one.
    pub(crate) fn addressed_task(&self) -> Option<Uuid> {
        self.task.as_ref().map(|task| task.id).or(self.task_id)
    }

    /// Brings a lease up to date with the answer to its initial heartbeat: a whole task replaces the
    /// lease's, otherwise single fields do.
    pub(crate) fn merge_into(self, lease: &mut Lease) {
        if let Some(task) = self.task {
            // A task that comes without a domain does not take away the one that the lease named.
            let domain_id = lease.task.domain_id;
            lease.task = task;
            lease.task.domain_id = lease.task.domain_id.or(domain_id);
        } else {
            let task = &mut lease.task;
            task.id = self.task_id.unwrap_or(task.id);
            task.job_id = self.job_id.or(task.job_id);
            task.attempts = self.attempts.or(task.attempts);
            task.max_attempts = self.max_attempts.or(task.max_attempts);
        }
        lease.task.domain_id = self.domain_id.or(lease.task.domain_id);
        // An unusable URL does not replace a good one: the lease named that one, and nothing says that it has moved.
        let usable = matches!(self.domain_server_url, DomainServerUrl::Valid(_));
        if usable || lease.domain_server_url == DomainServerUrl::Missing {
            lease.domain_server_url = self.domain_server_url;
        }
        lease.access_token = self.access_token.or(lease.access_token.take());
        // Both or neither: an expiry is compared with the `Date` of its own answer only.
        if self.lease_expires_at.is_some() {
            lease.lease_expires_at = self.lease_expires_at;
            lease.server_date = self.server_date;
        }
        // Never taken back: an answer without `cancel` reads as false and must not revive a cancelled task.
        lease.cancel |= self.cancel;
    }
}
