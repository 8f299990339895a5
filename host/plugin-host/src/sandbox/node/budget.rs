//! What a call may spend at the node, counted where the guest's process can't reach: a process that counts honestly never
//! passes any of it, since it has counted before.

use posemesh_runner_api::json_text::JsonText;

use crate::manifest::limits::Limits;

/// The budgets of one call.
#[derive(Debug)]
pub(super) struct CallBudget {
    artifacts: u64,
    bytes: u64,
    report_bytes: u64,
}

impl CallBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        // Bodies of requests are written the same way, within their own limit.
        let bytes = limits.output_bytes.saturating_add(limits.http_bytes);
        Self { artifacts: limits.artifacts, bytes, report_bytes: limits.report_bytes }
    }

    /// Counts one more artifact.
    ///
    /// # Errors
    /// When it is one too many.
    pub(super) fn start_artifact(&mut self) -> Result<(), String> {
        self.artifacts = self.artifacts.checked_sub(1).ok_or("it starts more artifacts than it may")?;
        Ok(())
    }

    /// Counts bytes that were written.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or("it writes more bytes than it may")?;
        Ok(())
    }

    /// Checks a report: its size, and that whoever gets it after the node can read it.
    ///
    /// # Errors
    /// When it is too large, or such as a job server refuses with all that it comes with.
    pub(super) fn report(&self, json: &JsonText) -> Result<(), String> {
        if json.as_str().len() as u64 > self.report_bytes {
            return Err("it reports more than it may".to_owned());
        }
        JsonText::parse_plain(json.as_str()).map(drop).map_err(|error| format!("it reports {error}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_an_honest_process_counts_is_counted_again() {
        let limits =
            Limits { artifacts: 1, output_bytes: 10, http_bytes: 0, report_bytes: 4, ..Limits::default() };
        let mut budget = CallBudget::new(&limits);
        budget.start_artifact().unwrap();
        budget.start_artifact().unwrap_err();
        budget.take(10).unwrap();
        budget.take(1).unwrap_err();
        let json = |text: &str| JsonText::parse(text).unwrap();
        budget.report(&json("1234")).unwrap();
        budget.report(&json("12345")).unwrap_err();
        budget.report(&json("1e9")).unwrap();
        assert!(budget.report(&json("9e999")).is_err_and(|what| what.contains("more than it may")));
        budget.report_bytes = 5;
        assert!(budget.report(&json("9e999")).is_err_and(|what| what.contains("not JSON")));
    }
}
