//! Shows a transfer of bytes: a bar on a terminal, one line at its end elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::tell;

/// The display of one transfer.
pub(super) struct Transfer {
    bar: ProgressBar,
    label: String,
}

impl Transfer {
    /// `label` has been escaped.
    pub(super) fn begin(label: String, bytes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), label };
        }
        let bar = ProgressBar::new(bytes).with_prefix(label.clone());
        let template = "{prefix} [{bar:30.cyan/dim}] {bytes}/{total_bytes} {bytes_per_sec}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, label }
    }

    /// So many more bytes have gone through.
    pub(super) fn moved(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    /// It has ended well.
    pub(super) fn end(self, bytes: u64) {
        self.bar.finish_and_clear();
        tell!("{}  {bytes} bytes", self.label);
    }
}
