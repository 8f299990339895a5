//! `GET /api/tasks` and what is below: the last tasks, newest first, and what their runners printed.

use std::io::SeekFrom;
use std::path::Path;

use axum::Json;
use axum::extract::{Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use uuid::Uuid;

use super::answer::error;
use super::sources::StatusSources;
use crate::records::{LeaseOutcome, RecordState, TaskRecord};

/// How much of a log's end is shown with its task.
const TAIL_BYTES: u64 = 8 << 10;
/// No log is longer: its runner's `log_bytes` and the time and stream of each line.
const LOG_BYTES: u64 = 64 << 20;

pub(super) async fn all(State(sources): State<StatusSources>) -> Json<Value> {
    let tasks: Vec<Value> = sources.records.list().iter().rev().map(shown).collect();
    Json(json!({"tasks": tasks}))
}

pub(super) async fn one(State(sources): State<StatusSources>, UrlPath(id): UrlPath<String>) -> Response {
    let record = match find(&sources, &id) {
        Ok(record) => record,
        Err(answer) => return *answer,
    };
    let mut task = shown(&record);
    let tail = match &record.log_file {
        Some(file) => end_of(file, TAIL_BYTES).await,
        None => String::new(),
    };
    // The first line may be a part of one.
    let from = if tail.len() as u64 == TAIL_BYTES { tail.find('\n').map_or(0, |at| at + 1) } else { 0 };
    let lines: Vec<&str> = tail.get(from..).unwrap_or_default().lines().collect();
    if let Some(task) = task.as_object_mut() {
        task.insert("log_tail".to_owned(), json!(lines));
    }
    Json(task).into_response()
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
    // A task can have been here more than once.
    sources.records.list().into_iter().rev().find(|record| record.task_id == id).ok_or_else(|| {
        let text = format!("task {id} is not among the last that this node had");
        Box::new(error(StatusCode::NOT_FOUND, text))
    })
}

fn shown(record: &TaskRecord) -> Value {
    let reason = match &record.state {
        RecordState::Ended(LeaseOutcome::Failed { reason, .. } | LeaseOutcome::Lost { reason }) => {
            Some(reason.as_str())
        }
        _ => None,
    };
    json!({
        "id": record.task_id,
        "job_id": record.job_id,
        "domain_id": record.domain_id,
        "capability": record.capability,
        "runner": record.runner,
        "state": record.state.word(),
        "reason": reason,
        "progress": record.progress,
        "leased_at": record.leased_at.format(&Rfc3339).ok(),
        "took_ms": u64::try_from(record.took.as_millis()).unwrap_or(u64::MAX),
        "limits": record.usage,
        "dropped_events": record.dropped_events,
        "traffic": record.traffic,
    })
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
