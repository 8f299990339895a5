//! Where a task's data is reached: the one place where a lease becomes the ports of its domain.

use std::sync::Arc;

use posemesh_domain_client::{DomainClient, DomainPorts, TaskDomain, TaskToken};
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::ports::OutputPort;
use tokio_util::sync::CancellationToken;

use crate::dms::Lease;

/// Opens the ports of tasks. Tests have ports without a domain server.
pub(crate) trait OpenPorts: Send + Sync {
    /// The ports to the domain that the lease names, with the lease's token. Waits in a port end when
    /// `stop` fires; `disk` holds what can't be sent yet. Makes no request.
    ///
    /// # Errors
    /// When the lease lacks `domain_id` or `domain_server_url`, or they can't be used; the text goes into
    /// `fail` (protocol 3.6, stage `build_ports`).
    fn open(
        &self,
        lease: &Lease,
        token: Arc<TaskToken>,
        stop: CancellationToken,
        disk: TaskDisk,
    ) -> Result<DomainPorts, &'static str>;
}

/// The failure of a run. A run that reached its deadline while it waited for its domain server, or for a connection that
/// this node could not open, is not the runner's fault.
pub(super) fn blame_waits(failure: RunFailure, outputs: &dyn OutputPort) -> RunFailure {
    match outputs.unanswered() {
        Some(error) if failure.kind == FailureKind::Deadline => {
            let reason = format!("{}; it was waiting for its domain server: {error}", failure.reason);
            RunFailure { reason, ..failure }.blamed_on(error.blame)
        }
        _ => failure,
    }
}

/// Opens ports to domain servers.
pub(crate) struct DomainPortOpener {
    pub(crate) client: Arc<DomainClient>,
}

impl OpenPorts for DomainPortOpener {
    fn open(
        &self,
        lease: &Lease,
        token: Arc<TaskToken>,
        stop: CancellationToken,
        disk: TaskDisk,
    ) -> Result<DomainPorts, &'static str> {
        let base_url = lease.domain_server_url.get()?.clone();
        // Told here instead of at the first read: no runner is started for a server that no request goes to.
        if let Some(why) = self.client.refusal(&base_url) {
            return Err(why);
        }
        Ok(self.client.for_task(TaskDomain {
            base_url,
            // Missed only here: the initial heartbeat may still have brought it.
            domain_id: lease.task.domain_id.ok_or("the lease has no domain_id, which storage needs")?,
            token,
            task_id: lease.task.id,
            inputs_cids: lease.task.inputs_cids.clone(),
            outputs_prefix: lease.task.outputs_prefix.clone(),
            disk,
            stop,
        }))
    }
}
