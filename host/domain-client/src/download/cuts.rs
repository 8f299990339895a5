//! When a download that is cut again and again has failed.

use std::time::Duration;

use tokio::time::Instant;

use crate::download::settings::DownloadSettings;

/// Counts the cuts of one download since it last got further.
#[derive(Debug)]
pub(super) struct CutCounter {
    max_resumes: u32,
    patience: Duration,
    progress: Instant,
    short: u32,
    broken: u32,
}

impl CutCounter {
    pub(super) fn new(settings: &DownloadSettings) -> Self {
        let (max_resumes, patience) = (settings.max_resumes, settings.cut_patience);
        Self { max_resumes, patience, progress: Instant::now(), short: 0, broken: 0 }
    }

    /// The pass that was cut got further than the one before: the count starts anew.
    pub(super) fn got_further(&mut self) {
        (self.progress, self.short, self.broken) = (Instant::now(), 0, 0);
    }

    /// Counts an answer that was too short; returns whether to ask again.
    pub(super) fn short(&mut self) -> bool {
        self.short += 1;
        self.short <= self.max_resumes
    }

    /// Counts a connection that broke; returns whether to ask again.
    pub(super) fn broken(&mut self) -> bool {
        self.broken = self.broken.saturating_add(1);
        // Both: a single pass over a large input may take longer than the patience.
        self.broken <= self.max_resumes || self.progress.elapsed() <= self.patience
    }

    /// Cuts since the last progress.
    pub(super) fn count(&self) -> u32 {
        self.short.saturating_add(self.broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn broken_connections_have_time_and_short_answers_have_a_few_tries() {
        let settings = DownloadSettings::default();
        let mut cuts = CutCounter::new(&settings);
        assert_eq!([1, 2, 3, 4, 5].map(|_| cuts.short()), [true, true, true, true, false]);
        cuts.got_further();
        assert!(cuts.short(), "progress starts the count anew");

        for _ in 0..100 {
            assert!(cuts.broken(), "a server that is down for a moment");
        }
        tokio::time::advance(settings.cut_patience * 2).await;
        assert!(!cuts.broken(), "cut for minutes without any progress");
        cuts.got_further();
        tokio::time::advance(settings.cut_patience * 2).await;
        assert!(cuts.broken(), "one pass may take long");
    }
}
