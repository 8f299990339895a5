//! The host's side of the WIT interface `control`.

use std::time::Duration;

use serde_json::Value;
use tracing::Level;

use super::bindings::posemesh::runner::control::{Budget, Host, LogLevel, ReportError};
use super::state::RunState;

impl RunState {
    fn parse(&self, json: &str) -> Result<Value, ReportError> {
        if json.len() as u64 > self.limits.report_bytes {
            return Err(ReportError::TooLarge(self.limits.report_bytes));
        }
        serde_json::from_str(json).map_err(|error| ReportError::InvalidJson(error.to_string()))
    }
}

impl Host for RunState {
    async fn progress(&mut self, json: String) -> wasmtime::Result<Result<(), ReportError>> {
        Ok(self.parse(&json).map(|progress| self.reports.progress(progress)))
    }

    async fn log_event(&mut self, json: String) -> wasmtime::Result<Result<(), ReportError>> {
        let event = match self.parse(&json) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        if !self.event_tokens.take() {
            self.reports.count_dropped_event();
            return Ok(Err(ReportError::Dropped));
        }
        self.log.event(&json);
        self.reports.event(event, json.len());
        Ok(Ok(()))
    }

    async fn log(&mut self, level: LogLevel, message: String) -> wasmtime::Result<()> {
        let level = match level {
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Info => Level::INFO,
            LogLevel::Warn => Level::WARN,
            LogLevel::Error => Level::ERROR,
        };
        self.log.line("log", level, &message);
        Ok(())
    }

    async fn is_cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.reports.stop_reason().is_some())
    }

    async fn wait_cancelled(&mut self, timeout_ms: u64) -> wasmtime::Result<bool> {
        let stop = self.reports.stop_token().clone();
        Ok(tokio::time::timeout(Duration::from_millis(timeout_ms), stop.cancelled()).await.is_ok())
    }

    async fn get_budget(&mut self) -> wasmtime::Result<Budget> {
        let left = self.limits.deadline().saturating_sub(self.started.elapsed());
        Ok(Budget {
            memory_bytes: self.limits.memory_bytes,
            scratch_bytes: self.limits.scratch_bytes,
            output_bytes_left: self.output_bytes_left,
            time_left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        })
    }
}
