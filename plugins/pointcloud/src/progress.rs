//! The line to whoever waits: progress out, cancellation in.

use crate::failure::Failure;

/// Between two looks at the clock and the cancel flag this many items are worked on.
const TICK: usize = 4096;
/// Progress is told in steps of this size.
const STEP: f64 = 0.01;

/// What the node offers while a task runs.
pub trait Control {
    /// Takes a report: how much of all the work is done, from 0 to 1, and what is being done.
    fn progress(&mut self, fraction: f64, stage: &str);
    /// Whether to stop.
    fn cancelled(&mut self) -> bool;
    /// Takes a remark for people that is no reason to fail.
    fn note(&mut self, _text: &str) {}
}

/// Maps the progress of the stages to one that only grows, and turns cancellation into an error.
pub struct Progress<'a> {
    /// Whom to tell.
    control: &'a mut dyn Control,
    /// What is being done.
    stage: &'static str,
    /// The part of the whole that this stage is.
    range: (f64, f64),
    /// What was told last.
    told: f64,
}

impl<'a> Progress<'a> {
    /// Starts at 0, before any stage.
    pub fn new(control: &'a mut dyn Control) -> Self {
        Self { control, stage: "starting", range: (0.0, 0.0), told: 0.0 }
    }

    /// Begins a stage that is the part `from..to` of the whole.
    ///
    /// # Errors
    /// [`Failure::Cancelled`].
    pub fn stage(&mut self, name: &'static str, from: f64, to: f64) -> Result<(), Failure> {
        self.stage = name;
        self.range = (from.max(self.told), to);
        self.tell(from)
    }

    /// Says that `done` of `total` items of the stage are done. Cheap: call it for each item.
    ///
    /// # Errors
    /// [`Failure::Cancelled`].
    #[inline]
    pub fn tick(&mut self, done: usize, total: usize) -> Result<(), Failure> {
        if done.is_multiple_of(TICK) { self.look(done, total) } else { Ok(()) }
    }

    /// As [`Progress::tick`], for items that each take long.
    ///
    /// # Errors
    /// [`Failure::Cancelled`].
    pub fn look(&mut self, done: usize, total: usize) -> Result<(), Failure> {
        let (from, to) = self.range;
        let fraction = from + (to - from) * (done as f64 / total.max(1) as f64).clamp(0.0, 1.0);
        if fraction >= self.told + STEP {
            return self.tell(fraction);
        }
        if self.control.cancelled() { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// Passes a remark on.
    pub fn note(&mut self, text: &str) {
        self.control.note(text);
    }

    /// Says that all is done.
    pub fn finish(&mut self) {
        self.control.progress(1.0, "done");
    }

    fn tell(&mut self, fraction: f64) -> Result<(), Failure> {
        self.told = self.told.max(fraction);
        self.control.progress(self.told, self.stage);
        if self.control.cancelled() { Err(Failure::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder {
        told: Vec<(f64, String)>,
        cancel_at: Option<f64>,
    }

    impl Control for Recorder {
        fn progress(&mut self, fraction: f64, stage: &str) {
            self.told.push((fraction, stage.to_owned()));
        }
        fn cancelled(&mut self) -> bool {
            self.cancel_at.is_some_and(|at| self.told.iter().any(|(fraction, _)| *fraction >= at))
        }
    }

    #[test]
    fn progress_only_grows_and_is_told_in_steps() -> Result<(), Failure> {
        let mut recorder = Recorder::default();
        let mut progress = Progress::new(&mut recorder);
        progress.stage("reading", 0.0, 0.5)?;
        for done in 0..100_000 {
            progress.tick(done, 100_000)?;
        }
        progress.stage("writing", 0.4, 1.0)?;
        progress.finish();
        assert!(recorder.told.len() < 60, "too many reports: {}", recorder.told.len());
        assert!(recorder.told.is_sorted_by(|a, b| a.0 <= b.0), "{:?}", recorder.told);
        assert_eq!(recorder.told.last().map(|(fraction, _)| *fraction), Some(1.0));
        Ok(())
    }

    #[test]
    fn cancellation_ends_a_stage_in_the_middle() {
        let mut recorder = Recorder { cancel_at: Some(0.3), ..Recorder::default() };
        let mut progress = Progress::new(&mut recorder);
        let done = (0..1_000_000).take_while(|&done| progress.look(done, 1_000_000).is_ok()).count();
        assert_eq!(done, 1_000_000, "without a stage nothing is told, so nothing is cancelled");
        assert!(progress.stage("reading", 0.0, 1.0).is_ok());
        let ended = (0..1_000_000).find(|&done| progress.tick(done, 1_000_000).is_err());
        assert!(ended.is_some_and(|at| (290_000..320_000).contains(&at)), "ended at {ended:?}");
    }
}
