//! What a runner prints and reports while it runs, read from its log file as it grows.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// The most that is read at a time, in bytes; the rest follows with the next look.
const MAX_LOOK: u64 = 1 << 20;

/// Reads the whole lines of a growing file, which may not be there yet.
pub(super) struct Printed {
    path: PathBuf,
    file: Option<File>,
    /// A line whose end is not there yet.
    begun: Vec<u8>,
}

impl Printed {
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, file: None, begun: Vec::new() }
    }

    /// The lines that came since the last look, without their times: `stdout | text`. Blocks for as long as a local file
    /// takes.
    pub(super) fn new_lines(&mut self) -> io::Result<Vec<String>> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                // A runner that prints nothing has none.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        loop {
            let read = file.take(MAX_LOOK).read_to_end(&mut self.begun)?;
            while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                lines.push(shown(String::from_utf8_lossy(&line).trim_end_matches('\n')));
            }
            if (read as u64) < MAX_LOOK {
                return Ok(lines);
            }
        }
    }
}

/// `TIME STREAM LINE` as people read it.
fn shown(line: &str) -> String {
    let mut parts = line.splitn(3, ' ').skip(1);
    let (stream, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{stream:>6} | {text}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn whole_lines_are_shown_once_and_as_soon_as_they_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut printed = Printed::of(path.clone());
        assert!(printed.new_lines().unwrap().is_empty(), "there is no file before the first line");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"2026-11-26T10:00:00Z stdout hello world\n2026-11-26T10:00:00Z event {\"a\"")
            .unwrap();
        assert_eq!(printed.new_lines().unwrap(), ["stdout | hello world"]);
        file.write_all(b": 1}\n").unwrap();
        assert_eq!(printed.new_lines().unwrap(), [" event | {\"a\": 1}"]);
        assert!(printed.new_lines().unwrap().is_empty());
    }
}
