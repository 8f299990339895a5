//! The host's side of the WIT interface `control`.

use std::time::Duration;

use tracing::Level;

use crate::instance::bindings::posemesh::runner::control::{Budget, Host, LogLevel, ReportError};
use crate::instance::control::{ControlView, ReportRefusal};

impl From<ReportRefusal> for ReportError {
    fn from(refusal: ReportRefusal) -> Self {
        match refusal {
            ReportRefusal::TooLarge(limit) => Self::TooLarge(limit),
            ReportRefusal::InvalidJson(what) => Self::InvalidJson(what),
            ReportRefusal::Dropped => Self::Dropped,
        }
    }
}

impl Host for ControlView<'_> {
    async fn progress(&mut self, json: String) -> wasmtime::Result<Result<(), ReportError>> {
        Ok(self.context.progress(&json).map_err(Into::into))
    }

    async fn log_event(&mut self, json: String) -> wasmtime::Result<Result<(), ReportError>> {
        Ok(self.context.event(&json).map_err(Into::into))
    }

    async fn log(&mut self, level: LogLevel, message: String) -> wasmtime::Result<()> {
        let level = match level {
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Info => Level::INFO,
            LogLevel::Warn => Level::WARN,
            LogLevel::Error => Level::ERROR,
        };
        self.context.log.line("log", level, &message);
        Ok(())
    }

    async fn is_cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.context.reports.stop_reason().is_some())
    }

    async fn wait_cancelled(&mut self, timeout_ms: u64) -> wasmtime::Result<bool> {
        let stop = self.context.reports.stop_token().clone();
        Ok(tokio::time::timeout(Duration::from_millis(timeout_ms), stop.cancelled()).await.is_ok())
    }

    async fn get_budget(&mut self) -> wasmtime::Result<Budget> {
        Ok(Budget {
            memory_bytes: self.memory.memory_limit(),
            scratch_bytes: self.scratch.limit(),
            output_bytes_left: self.outputs.bytes_left(),
            time_left_ms: u64::try_from(self.context.time_left().as_millis()).unwrap_or(u64::MAX),
        })
    }
}
