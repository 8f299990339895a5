//! Shows the progress of a task: a bar on a terminal, lines where the output is a file or a pipe.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use posemesh_runner_api::json_text::JsonText;
use posemesh_text::one_line;
use serde_json::Value;

use crate::output::tell;

/// How much of a stage's name is shown.
const STAGE_BYTES: usize = 60;

/// Shows the progress of one task on standard error.
pub(crate) struct Progress {
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { label: String, last: Option<(String, u64)> },
}

impl Progress {
    /// `label` stands before the bar and at the start of each line.
    pub(crate) fn new(label: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { shown: Shown::Lines { label: label.to_owned(), last: None } };
        }
        let bar = ProgressBar::new(1000).with_prefix(label.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:40.cyan/dim}] {percent:>3}% {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { shown: Shown::Bar(bar) }
    }

    /// Shows `{"progress": 0..1, "stage": "..."}`; ignores other JSON, which is the business of whoever
    /// submitted the task.
    pub(crate) fn show(&mut self, progress: &Value) {
        let Some(fraction) = progress.get("progress").and_then(Value::as_f64) else { return };
        let stage = one_line(progress.get("stage").and_then(Value::as_str).unwrap_or_default(), STAGE_BYTES);
        let permille = (fraction.clamp(0.0, 1.0) * 1000.0) as u64;
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(permille);
                bar.set_message(stage);
            }
            Shown::Lines { label, last } => {
                // A line for each stage and each tenth: a log does not need more.
                let now = (stage, permille / 100);
                if last.as_ref() != Some(&now) {
                    tell!("{label} {:>3}% {}", permille / 10, now.0);
                    *last = Some(now);
                }
            }
        }
    }

    /// The same for a progress that was not read yet.
    pub(crate) fn show_text(&mut self, progress: &JsonText) {
        // Plain JSON, or it would not have been taken.
        if let Ok(progress) = serde_json::from_str(progress.as_str()) {
            self.show(&progress);
        }
    }

    /// Shows a line above the bar, or as it is.
    pub(crate) fn line(&self, line: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| tell!("{line}")),
            Shown::Lines { .. } => tell!("{line}"),
        }
    }

    /// Ends the display; the last state stays on the screen.
    pub(crate) fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish();
        }
    }
}
