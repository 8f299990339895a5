//! What tests do and see in-process, past HTTP.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncRead, BufReader};
use uuid::Uuid;

use crate::dds::{LoginRecord, RegistrationRecord, RobotCredentials};
use crate::devnet::{Devnet, sweep};
use crate::dms::record::{HeartbeatRecord, SubmittedJob, TaskState};
use crate::dms::submit::{self, JobRequest};
use crate::dms::{jobs, wire};
use crate::domain::names;
use crate::domain::session::SessionRecord;
use crate::domain::store::{DataItem, Upload};
use crate::error::DevnetError;
use crate::record::RequestRecord;
use crate::reply::Refusal;
use crate::tokens::Grant;

/// How much is read before it is written.
const CHUNK: usize = 256 << 10;

/// Jobs and tasks.
impl Devnet {
    /// Submits a job, as `POST /jobs` takes it; without a `domain_id` it is for [`Devnet::domain_id`].
    ///
    /// # Errors
    /// What the job API would have answered.
    pub fn submit_job(&self, job: Value) -> Result<SubmittedJob, DevnetError> {
        let mut request: JobRequest = serde_json::from_value(job)
            .map_err(|error| Refusal::bad_request(format!("invalid job: {error}")))?;
        request.domain_id.get_or_insert(self.domain_id());
        Ok(submit::submit(&self.core, request)?)
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// When there is no such job, or it has ended.
    pub fn cancel_job(&self, job: Uuid) -> Result<(), DevnetError> {
        jobs::cancel_job(&self.core, job)?;
        Ok(())
    }

    /// `status` of a job.
    pub fn job_status(&self, job: Uuid) -> Option<&'static str> {
        let state = self.core.dms.state();
        state.jobs.get(&job).map(|job| wire::job_status(&state, job))
    }

    /// A task as it stands.
    pub fn task(&self, task: Uuid) -> Option<TaskState> {
        self.core.dms.task(task)
    }

    /// The heartbeats that arrived for a task, in order.
    pub fn heartbeats(&self, task: Uuid) -> Vec<HeartbeatRecord> {
        self.core.dms.heartbeats(task)
    }

    /// Lets a task's lease expire at once; false if it has none.
    pub fn expire_lease(&self, task: Uuid) -> bool {
        let held = {
            let mut state = self.core.dms.state();
            let lease = state.tasks.get_mut(&task).and_then(|task| task.lease.as_mut());
            lease.map(|lease| lease.expires = Instant::now()).is_some()
        };
        self.sweep();
        held
    }

    /// Looks for what has expired now instead of after [`crate::DevnetConfig::sweep_interval`].
    pub fn sweep(&self) {
        sweep(&self.core);
    }
}

/// Waiting. Every change wakes who waits; nothing is polled.
impl Devnet {
    /// Waits until a task is as `reached` wants it, and gives it.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`] tells how the task stood at the end.
    pub async fn wait_for(
        &self,
        task: Uuid,
        timeout: Duration,
        mut reached: impl FnMut(&TaskState) -> bool,
    ) -> Result<TaskState, DevnetError> {
        let waited = self.wait_until(timeout, "a task", || self.task(task).filter(|task| reached(task)));
        waited.await.map_err(|error| match error {
            DevnetError::Timeout { waited_ms, .. } => {
                DevnetError::Timeout { waited_ms, what: format!("a task; it is {:?}", self.task(task)) }
            }
            other => other,
        })
    }

    /// Waits until a task is completed, failed or canceled, and gives it.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`] tells how the task stood at the end.
    pub async fn wait_for_task_end(&self, task: Uuid, timeout: Duration) -> Result<TaskState, DevnetError> {
        self.wait_for(task, timeout, |task| task.status.is_end()).await
    }

    /// Waits for a request that is as `wanted` says, whether or not it is answered yet, and gives it.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`].
    pub async fn wait_for_request(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&RequestRecord) -> bool,
    ) -> Result<RequestRecord, DevnetError> {
        let find = || self.requests().into_iter().find(|request| wanted(request));
        self.wait_until(timeout, "a request", find).await
    }

    /// Waits until `look` gives something; it looks again after every change.
    ///
    /// # Errors
    /// [`DevnetError::Timeout`] with `what`.
    pub async fn wait_until<T>(
        &self,
        timeout: Duration,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, DevnetError> {
        let mut changes = self.core.changes();
        let found = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look() {
                    return found;
                }
                if changes.changed().await.is_err() {
                    // The sender lives as long as this devnet does.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(timeout, found)
            .await
            .map_err(|_| DevnetError::Timeout { waited_ms: timeout.as_millis(), what: what.to_owned() })
    }
}

/// What was seen.
impl Devnet {
    /// The requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.core.recorder.all()
    }

    /// The accepted registrations of nodes and robots.
    pub fn registrations(&self) -> Vec<RegistrationRecord> {
        self.core.dds.registrations()
    }

    /// The accepted logins of nodes and robots.
    pub fn logins(&self) -> Vec<LoginRecord> {
        self.core.dds.logins()
    }

    /// The upload sessions, in the order in which they began.
    pub fn multipart_sessions(&self) -> Vec<SessionRecord> {
        self.core.sessions.all()
    }

    /// Everything that was secret so far, with what it is: credentials, tokens, nonces, signatures and
    /// login texts. For tests that look for them where they must not be.
    pub fn secrets(&self) -> Vec<(&'static str, String)> {
        let mut all = self.core.dds.secrets();
        all.extend(self.core.tokens.all());
        all
    }

    /// The nonces handed out so far, in order.
    pub fn nonces(&self) -> Vec<String> {
        let secrets = self.core.dds.secrets().into_iter();
        secrets.filter(|(what, _)| *what == "nonce").map(|(_, nonce)| nonce).collect()
    }

    /// Gives a robot new credentials, as `POST /api/v1/robots/{id}/credentials/rotate` does: the old ones
    /// are void, its tokens live on. None if there is no such robot.
    pub fn rotate_robot_credentials(&self, robot: Uuid) -> Option<RobotCredentials> {
        let identity = self.core.dds.rotate(robot)?;
        Some(RobotCredentials { robot_id: robot, registration_credentials: identity.credentials() })
    }

    /// Assigns a robot to a domain, or to none: then it can log in and gets no work. False if there is no
    /// such robot.
    pub fn assign_robot(&self, robot: Uuid, domain: Option<Uuid>) -> bool {
        self.core.dds.assign(robot, domain)
    }

    /// Forgets that a node or robot has registered; its tokens end. False if it had not.
    pub fn forget_registration(&self, id: Uuid) -> bool {
        self.core.tokens.revoke(|grant| grant == Grant::Node(id) || grant == Grant::Robot(id));
        self.core.dds.forget(id)
    }

    /// Ends all machine tokens.
    pub fn revoke_machine_tokens(&self) {
        self.core.tokens.revoke(|grant| matches!(grant, Grant::Node(_) | Grant::Robot(_)));
    }

    /// Ends all task tokens of a task; the next heartbeat brings a new one if they rotate.
    pub fn revoke_task_tokens(&self, task: Uuid) {
        self.core.tokens.revoke(|grant| matches!(grant, Grant::Task { task: of, .. } if of == task));
    }
}

/// Domain data.
impl Devnet {
    /// Puts bytes into [`Devnet::domain_id`].
    ///
    /// # Errors
    /// When the name is taken or not allowed, or the disk fails.
    pub async fn put_data(
        &self,
        name: &str,
        data_type: &str,
        bytes: impl AsRef<[u8]>,
    ) -> Result<Uuid, DevnetError> {
        self.put(self.domain_id(), name, data_type, bytes.as_ref()).await
    }

    /// Puts bytes into a domain.
    ///
    /// # Errors
    /// When there is no such domain, the name is taken or not allowed, or the disk fails.
    pub async fn put_data_in(
        &self,
        domain: Uuid,
        name: &str,
        data_type: &str,
        bytes: impl AsRef<[u8]>,
    ) -> Result<Uuid, DevnetError> {
        self.put(domain, name, data_type, bytes.as_ref()).await
    }

    /// Copies a file into [`Devnet::domain_id`].
    ///
    /// # Errors
    /// When the file can't be read, the name is taken or not allowed, or the disk fails.
    pub async fn put_file(
        &self,
        name: &str,
        data_type: &str,
        path: impl AsRef<Path>,
    ) -> Result<Uuid, DevnetError> {
        let path = path.as_ref();
        let file = File::open(path).await.map_err(DevnetError::file("read", path))?;
        self.put(self.domain_id(), name, data_type, file).await
    }

    /// Puts what a reader gives into [`Devnet::domain_id`]; it is never in memory as a whole.
    ///
    /// # Errors
    /// When it can't be read, the name is taken or not allowed, or the disk fails.
    pub async fn put_stream(
        &self,
        name: &str,
        data_type: &str,
        from: impl AsyncRead + Unpin,
    ) -> Result<Uuid, DevnetError> {
        self.put(self.domain_id(), name, data_type, from).await
    }

    async fn put(
        &self,
        domain: Uuid,
        name: &str,
        data_type: &str,
        from: impl AsyncRead + Unpin,
    ) -> Result<Uuid, DevnetError> {
        names::check("name", name)?;
        names::check("data type", data_type)?;
        let store = &self.core.store;
        if !store.has_domain(domain) {
            return Err(Refusal::not_found("domain not found").into());
        }
        let (staged, mut to) = store.stage().await.map_err(DevnetError::file("create", "a blob"))?;
        // `copy` alone would go to the disk for every 8 KiB.
        let mut from = BufReader::with_capacity(CHUNK, from);
        let copied = tokio::io::copy_buf(&mut from, &mut to).await;
        let size = copied.map_err(DevnetError::file("write", staged.path()))?;
        tokio::io::AsyncWriteExt::flush(&mut to).await.map_err(DevnetError::file("write", staged.path()))?;
        let (id, name, data_type) = (Uuid::new_v4(), name.to_owned(), data_type.to_owned());
        let upload = Upload { id, name, data_type, staged, size };
        store.create(domain, vec![upload], &self.core.clock.stamp()).map_err(Refusal::from)?;
        store.save().await.map_err(DevnetError::file("write", "the index"))?;
        self.core.changed();
        Ok(id)
    }

    /// Removes some data, of any domain; false if there is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn delete_data(&self, id: Uuid) -> Result<bool, DevnetError> {
        let store = &self.core.store;
        let Some(stored) = store.locate(id) else { return Ok(false) };
        let deleted = store.delete(stored.item.domain_id, id);
        store.save().await.map_err(DevnetError::file("write", "the index"))?;
        self.core.changed();
        Ok(deleted)
    }

    /// The whole of some data, of any domain.
    ///
    /// # Errors
    /// When there is no such data, or the disk fails.
    pub async fn read_data(&self, id: Uuid) -> Result<Bytes, DevnetError> {
        let path = self.data_path(id).ok_or_else(|| Refusal::not_found("data not found"))?;
        tokio::fs::read(&path).await.map(Bytes::from).map_err(DevnetError::file("read", path))
    }

    /// The file in which some data lies, until it is updated or deleted.
    pub fn data_path(&self, id: Uuid) -> Option<PathBuf> {
        self.core.store.locate(id).map(|stored| self.core.store.path_of(&stored))
    }

    /// The data of [`Devnet::domain_id`], in the order of its creation.
    pub fn list_data(&self) -> Vec<DataItem> {
        self.list_data_in(self.domain_id())
    }

    /// The data of a domain, in the order of its creation.
    pub fn list_data_in(&self, domain: Uuid) -> Vec<DataItem> {
        self.core.store.find(domain, |_| true).into_iter().map(|stored| stored.item).collect()
    }

    /// The URL of some data of [`Devnet::domain_id`], as jobs name their inputs.
    pub fn data_url(&self, id: Uuid) -> String {
        format!("{}/api/v1/domains/{}/data/{id}", self.domain_server_url(), self.domain_id())
    }
}
