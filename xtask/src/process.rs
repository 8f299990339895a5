//! Runs other programs: shows the command line, waits no longer than asked, and says what to do when
//! it fails.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// What `cargo run` puts into our environment about *this* crate. Build scripts that watch these
/// (ring's does) would run again, and everything above them, each time a build is started the other way.
const OURS: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME"];

/// A program to run.
pub struct Cmd {
    command: Command,
    /// The variables that matter to the reader, as `NAME=value` before the command line.
    shown: Vec<String>,
    limit: Option<Duration>,
    cure: Option<String>,
}

impl Cmd {
    /// The program `program`, looked up in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if is_ours(&name) {
                command.env_remove(name);
            }
        }
        Self { command, shown: Vec::new(), limit: None, cure: None }
    }

    /// The cargo that runs us.
    pub fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds several arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Runs it in `dir`.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets an environment variable, and shows it.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown.push(format!("{name}={}", quoted(value.as_ref())));
        self.env_quietly(name, value)
    }

    /// Sets an environment variable that would only clutter the line.
    pub fn env_quietly(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes an environment variable away.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Ends the program after `limit`; that is then an error.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sends what it says on standard error to a file.
    pub fn stderr(mut self, file: File) -> Self {
        self.command.stderr(file);
        self
    }

    /// What the reader can do if it fails.
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Shows the command line and runs it on our terminal.
    ///
    /// # Errors
    /// If it can't be started, passes its time limit or ends with anything but success.
    pub fn run(mut self) -> Result<()> {
        eprintln!("$ {}", self.line());
        let child = self.command.spawn().map_err(|error| self.not_started(error))?;
        let status = self.wait(child)?;
        self.check(status, None)
    }

    /// Runs it unseen and returns what it printed on standard output, trimmed.
    ///
    /// # Errors
    /// As [`Cmd::run`]; the message ends with what it printed on standard error.
    pub fn output(mut self) -> Result<String> {
        let output = self.command.stdin(Stdio::null()).output().map_err(|error| self.not_started(error))?;
        self.check(output.status, Some(&output.stderr))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether it can be started and succeeds. Nothing is shown.
    pub fn works(mut self) -> bool {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Becomes this program, so that terminal, signals and exit code are its own. Returns only the
    /// error if that fails.
    #[cfg(unix)]
    pub fn become_it(mut self) -> anyhow::Error {
        use std::os::unix::process::CommandExt;
        eprintln!("$ {}", self.line());
        let error = self.command.exec();
        self.not_started(error)
    }

    /// Runs this program and ends with its exit code. Returns only the error if it can't be started.
    #[cfg(not(unix))]
    pub fn become_it(mut self) -> anyhow::Error {
        eprintln!("$ {}", self.line());
        match self.command.status() {
            Ok(status) => std::process::exit(status.code().unwrap_or(1)),
            Err(error) => self.not_started(error),
        }
    }

    fn wait(&self, mut child: Child) -> Result<ExitStatus> {
        let Some(limit) = self.limit else {
            return child.wait().with_context(|| format!("wait for `{}`", self.line()));
        };
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait().with_context(|| format!("wait for `{}`", self.line()))? {
                return Ok(status);
            }
            if Instant::now() >= end {
                // It may have ended by itself in this moment: then there is nothing to kill.
                let _ = child.kill();
                let _ = child.wait();
                bail!(
                    "`{}` took longer than {} s and was ended{}",
                    self.line(),
                    limit.as_secs(),
                    self.help()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn check(&self, status: ExitStatus, stderr: Option<&[u8]>) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let said = stderr.map(String::from_utf8_lossy).unwrap_or_default();
        let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        bail!("`{}` failed ({status}){said}{}", self.line(), self.help())
    }

    fn not_started(&self, error: std::io::Error) -> anyhow::Error {
        let why = match error.kind() {
            ErrorKind::NotFound => "there is no such program here".to_owned(),
            _ => error.to_string(),
        };
        anyhow!("can't start `{}`: {why}{}", self.line(), self.help())
    }

    fn help(&self) -> String {
        self.cure.as_ref().map(|cure| format!("\n  what helps: {cure}")).unwrap_or_default()
    }

    /// The command line as one could type it.
    fn line(&self) -> String {
        let program = self.command.get_program();
        let program = match program.to_str() {
            Some(path) if path.ends_with("/cargo") => "cargo".into(),
            _ => quoted(program),
        };
        let mut words = self.shown.clone();
        words.push(program);
        words.extend(self.command.get_args().map(quoted));
        words.join(" ")
    }
}

fn is_ours(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| OURS.iter().any(|start| name.starts_with(start)))
}

/// One word of a command line, in quotes if a shell would not take it as it is.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_line_can_be_typed_into_a_shell() {
        let cmd = Cmd::new("echo").args(["plain", "two words", "it's", ""]).env("A", "b c");
        assert_eq!(cmd.line(), r"A='b c' echo plain 'two words' 'it'\''s' ''");
    }

    #[test]
    fn a_failure_names_the_command_the_exit_code_and_the_cure() {
        let error = Cmd::new("sh").args(["-c", "exit 3"]).cure("try harder").run().unwrap_err().to_string();
        assert!(error.contains("sh -c 'exit 3'"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("what helps: try harder"), "{error}");
    }

    #[test]
    fn captured_failures_end_with_what_the_program_said() {
        let error = Cmd::new("sh").args(["-c", "echo why >&2; exit 1"]).output().unwrap_err().to_string();
        assert!(error.ends_with(": why"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_told_in_words() {
        let error = Cmd::new("no-such-program").run().unwrap_err().to_string();
        assert!(error.contains("no such program"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_limit() {
        let start = Instant::now();
        let cmd = Cmd::new("sleep").arg("60").limit(Duration::from_millis(100));
        let error = cmd.run().unwrap_err().to_string();
        assert!(error.contains("took longer"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
    }
}
