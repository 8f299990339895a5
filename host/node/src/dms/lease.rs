//! What DMS answers, as the rest of the node sees it.

use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use posemesh_net::secret::Secret;
use posemesh_runner_api::task::Task;

/// The answer to a request for a lease (protocol 3.2).
#[derive(Debug)]
pub enum LeaseAnswer {
    /// A task to work on.
    Lease(Box<Lease>),
    /// There is none (204).
    NoWork,
    /// This node holds a lease already (409).
    Busy,
    /// A task was leased, but it can't be read. With its id it can be failed, so that DMS need not wait
    /// for the lease to expire.
    Undecodable {
        /// The task's id, if it could be found.
        task_id: Option<Uuid>,
        /// What is wrong with it, and nothing of what it says.
        error: String,
    },
}

/// A leased task (protocol 3.3).
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// The task; its `domain_id` is the lease's.
    pub task: Task,
    /// The task token, for the domain server only.
    pub access_token: Option<Secret>,
    /// When that token ends.
    pub access_token_expires_at: Option<OffsetDateTime>,
    /// When the lease ends, by the clock of DMS.
    pub lease_expires_at: Option<OffsetDateTime>,
    /// What the clock of DMS showed when it answered.
    pub server_date: Option<OffsetDateTime>,
    /// The task is cancelled already.
    pub cancel: bool,
    /// For information only.
    pub status: Option<String>,
    /// The domain that the task works on.
    pub domain_id: Option<Uuid>,
    /// Where that domain is stored.
    pub domain_server_url: DomainServerUrl,
}

/// The `domain_server_url` of a lease. A lease with a bad one is still a lease: the task can be failed
/// with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainServerUrl {
    /// An http(s) URL with a host.
    Valid(Url),
    /// Not there.
    Missing,
    /// Something else.
    Invalid,
}

impl DomainServerUrl {
    /// The URL, or what is wrong with it.
    ///
    /// # Errors
    /// When there is none that can be used; the text is fit for `details.error` of a `build_ports` failure
    /// (protocol 3.6).
    pub fn get(&self) -> Result<&Url, &'static str> {
        match self {
            Self::Valid(url) => Ok(url),
            Self::Missing => Err("the lease has no domain_server_url"),
            Self::Invalid => Err("the domain_server_url of the lease is not an http(s) URL with a host"),
        }
    }
}

/// The answer to a heartbeat (protocol 3.4); every field may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct HeartbeatAnswer {
    /// A new task token.
    pub access_token: Option<Secret>,
    /// When that token ends.
    pub access_token_expires_at: Option<OffsetDateTime>,
    /// When the lease ends now, by the clock of DMS.
    pub lease_expires_at: Option<OffsetDateTime>,
    /// What the clock of DMS showed when it answered.
    pub server_date: Option<OffsetDateTime>,
    /// The task is cancelled. Missing is false.
    pub cancel: bool,
    /// For information only.
    pub status: Option<String>,
    /// The domain.
    pub domain_id: Option<Uuid>,
    /// Where it is stored.
    pub domain_server_url: DomainServerUrl,
    /// The task anew, as a whole.
    pub task: Option<Task>,
    /// Or parts of it.
    pub task_id: Option<Uuid>,
    /// The job.
    pub job_id: Option<Uuid>,
    /// How often the task was tried before.
    pub attempts: Option<u32>,
    /// How often it may be tried.
    pub max_attempts: Option<u32>,
    /// Tasks that it waits for.
    pub deps_remaining: Option<u32>,
}

impl HeartbeatAnswer {
    /// Brings a lease up to date with the answer to its initial heartbeat: a whole task replaces the
    /// lease's, else the parts that are there do. Later answers leave what the runner sees alone.
    pub fn merge_into(&self, lease: &mut Lease) {
        if let Some(task) = &self.task {
            let domain_id = lease.task.domain_id;
            lease.task = task.clone();
            lease.task.domain_id = lease.task.domain_id.or(domain_id);
        } else {
            let task = &mut lease.task;
            task.id = self.task_id.unwrap_or(task.id);
            task.job_id = self.job_id.or(task.job_id);
            task.attempts = self.attempts.or(task.attempts);
            task.max_attempts = self.max_attempts.or(task.max_attempts);
        }
        if let Some(domain_id) = self.domain_id {
            lease.domain_id = Some(domain_id);
            lease.task.domain_id = Some(domain_id);
        }
        if self.domain_server_url != DomainServerUrl::Missing {
            lease.domain_server_url = self.domain_server_url.clone();
        }
        if let Some(token) = &self.access_token {
            lease.access_token = Some(token.clone());
            lease.access_token_expires_at = self.access_token_expires_at;
        }
        if self.lease_expires_at.is_some() {
            lease.lease_expires_at = self.lease_expires_at;
            lease.server_date = self.server_date;
        }
        lease.cancel |= self.cancel;
        if self.status.is_some() {
            lease.status.clone_from(&self.status);
        }
    }
}
