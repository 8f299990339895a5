//! `GET /api/tasks` and what is below: the last tasks, newest first, and what their runners printed.

use std::io::SeekFrom;
use std::path::Path;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use posemesh_domain_client::TrafficView;
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::LimitUse;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use uuid::Uuid;

use super::answer::error;
use super::sources::StatusSources;
use crate::millis::millis;
use crate::records::{LeaseOutcome, RecordPage, RecordState, TaskRecord};

/// How much of a log's end is shown with its task.
const TAIL_BYTES: u64 = 8 << 10;
/// No log is longer: its runner's `log_bytes` and the time and stream of each line.
const LOG_BYTES: u64 = 64 << 20;

/// How many tasks a page has unless more are asked for.
const PAGE: usize = 50;
/// How many it has at most.
const LARGEST_PAGE: usize = 256;

/// Which page is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    /// How many tasks.
    limit: Option<usize>,
    /// Only those older than the task with this `number`: `next` of the page before.
    before: Option<u64>,
}

#[derive(Serialize)]
struct Page {
    tasks: Vec<ShownTask>,
    /// How many tasks there are on all pages.
    total: usize,
    /// `before` of the next page; none if this is the last.
    next: Option<u64>,
}

/// A task as people and scripts see it.
#[derive(Serialize)]
pub(super) struct ShownTask {
    id: Uuid,
    number: u64,
    job_id: Option<Uuid>,
    domain_id: Option<Uuid>,
    capability: String,
    runner: Option<String>,
    state: &'static str,
    reason: Option<String>,
    /// As the runner wrote it.
    progress: JsonText,
    leased_at: Option<String>,
    took_ms: u64,
    /// Time until its lease ends unless it is extended, and until that is tried; while its runner works.
    lease_ends_in_ms: Option<u64>,
    next_heartbeat_in_ms: Option<u64>,
    limits: Vec<LimitUse>,
    dropped_events: u64,
    traffic: TrafficView,
    /// The last lines that its runner printed; only of one task.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_tail: Option<Vec<String>>,
}

pub(super) async fn all(
    State(sources): State<StatusSources>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(PageQuery { limit, before })) = query else {
        let text = "`limit` and `before` are whole numbers: /api/tasks?limit=50&before=NUMBER";
        return error(StatusCode::BAD_REQUEST, text);
    };
    let RecordPage { records, total, next } =
        sources.records.page(before, limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE));
    Json(Page { tasks: records.into_iter().map(shown).collect(), total, next }).into_response()
}

/// A task as a list shows it.
pub(super) fn shown(mut record: TaskRecord) -> ShownTask {
    record.progress = record.short_progress();
    ShownTask::from(record)
}

pub(super) async fn one(State(sources): State<StatusSources>, UrlPath(id): UrlPath<String>) -> Response {
    let record = match find(&sources, &id) {
        Ok(record) => record,
        Err(answer) => return *answer,
    };
    let tail = match &record.log_file {
        Some(file) => end_of(file, TAIL_BYTES).await,
        None => String::new(),
    };
    // The first line may be a part of one.
    let from = if tail.len() as u64 == TAIL_BYTES { tail.find('\n').map_or(0, |at| at + 1) } else { 0 };
    let lines = tail.get(from..).unwrap_or_default().lines().map(str::to_owned).collect();
    Json(ShownTask { log_tail: Some(lines), ..record.into() }).into_response()
}

pub(super) async fn log(State(sources): State<StatusSources>, UrlPath(id): UrlPath<String>) -> Response {
    match find(&sources, &id) {
        Ok(record) => {
            let text = match &record.log_file {
                Some(file) => end_of(file, LOG_BYTES).await,
                None => String::new(),
            };
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
        }
        Err(answer) => *answer,
    }
}

fn find(sources: &StatusSources, id: &str) -> Result<TaskRecord, Box<Response>> {
    let Ok(id) = id.parse::<Uuid>() else {
        return Err(Box::new(error(StatusCode::BAD_REQUEST, "the id of a task is a UUID")));
    };
    sources.records.find(id).ok_or_else(|| {
        let text = format!("task {id} is not among the last that this node had");
        Box::new(error(StatusCode::NOT_FOUND, text))
    })
}

impl From<TaskRecord> for ShownTask {
    fn from(record: TaskRecord) -> Self {
        let state = record.state.word();
        let reason = match record.state {
            RecordState::Ended(LeaseOutcome::Failed { reason, .. } | LeaseOutcome::Lost { reason }) => {
                Some(reason)
            }
            _ => None,
        };
        let (lease_ends, next_heartbeat) = record.times.map(|times| times.left()).unzip();
        Self {
            id: record.task_id,
            number: record.number,
            job_id: record.job_id,
            domain_id: record.domain_id,
            capability: record.capability,
            runner: record.runner,
            state,
            reason,
            progress: record.progress,
            leased_at: record.leased_at.format(&Rfc3339).ok(),
            took_ms: millis(record.took),
            lease_ends_in_ms: lease_ends.map(millis),
            next_heartbeat_in_ms: next_heartbeat.map(millis),
            limits: record.usage,
            dropped_events: record.dropped_events,
            traffic: record.traffic,
            log_tail: None,
        }
    }
}

/// The last bytes of a file as text; nothing of one that is not there.
async fn end_of(file: &Path, bytes: u64) -> String {
    let read = async {
        let mut file = tokio::fs::File::open(file).await?;
        let length = file.metadata().await?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes))).await?;
        let mut text = Vec::new();
        // The log may grow while it is read.
        file.take(bytes).read_to_end(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    // The cut may fall into the middle of a character, and a runner can print any bytes.
    read.await.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
}
