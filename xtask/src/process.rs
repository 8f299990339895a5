//! Runs other programs: shows the command line, enforces a time limit, and says what helps when a program
//! fails.

mod threads;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

/// Beginnings of the variables by which `cargo run` describes *this* crate. Build scripts that watch them
/// (ring's does) would run again, and everything above them would be rebuilt, each time a build is started
/// from here after one that was started by hand, and the other way round.
const SET_BY_CARGO_RUN: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME"];

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    Failure,
    /// At its time limit.
    Killed,
}

/// A program to run.
pub(crate) struct Cmd {
    /// Program, arguments, directory and environment. `duct` runs them; only [`Cmd::exec`] needs the
    /// standard library's type, which can be read back as well.
    command: Command,
    /// Variables that the reader should see, as `NAME=value` before the command line.
    shown: Vec<String>,
    time_limit: Option<Duration>,
    stderr: Option<File>,
    cure: Option<String>,
}

impl Cmd {
    /// The program `program`, looked up in `PATH`.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if is_set_by_cargo_run(&name) {
                command.env_remove(name);
            }
        }
        Self { command, shown: Vec::new(), time_limit: None, stderr: None, cure: None }
    }

    /// The cargo that runs us.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds several arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Runs the program in `dir`.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets an environment variable and shows it in the command line.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown.push(format!("{name}={}", quoted(value.as_ref())));
        self.env_hidden(name, value)
    }

    /// Sets an environment variable that would only clutter the command line.
    pub(crate) fn env_hidden(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As [`Cmd::env_hidden`], on a command that is there.
    pub(crate) fn set_env(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.command.env(name, value);
    }

    /// The command line as one could type it into a shell.
    pub(crate) fn shown(&self) -> String {
        self.line()
    }

    /// Removes an inherited environment variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Kills the program after `limit`. Counts for [`Cmd::run`], of which it is an error then, and [`Cmd::run_into`].
    pub(crate) fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// As [`Cmd::time_limit`], on a command that is there.
    pub(crate) fn set_time_limit(&mut self, limit: Duration) {
        self.time_limit = Some(limit);
    }

    /// Sends the program's standard error to `file`. Counts for [`Cmd::run`] only.
    pub(crate) fn stderr(mut self, file: File) -> Self {
        self.stderr = Some(file);
        self
    }

    /// What the reader can do if the program fails: the error ends with it.
    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Shows the command line and runs the program on our terminal.
    ///
    /// # Errors
    /// If the program can't be started, exceeds its time limit or ends with anything but success.
    pub(crate) fn run(mut self) -> Result<()> {
        eprintln!("$ {}", self.line());
        let mut expression = self.expression();
        if let Some(file) = self.stderr.take() {
            expression = expression.stderr_file(file);
        }
        let program = expression.start().map_err(|error| self.not_started(&error))?;
        let waiting = || format!("wait for `{}`", self.line());
        let Some(limit) = self.time_limit else {
            return self.check(program.wait().with_context(waiting)?.status, b"");
        };
        if let Some(output) = program.wait_timeout(limit).with_context(waiting)? {
            return self.check(output.status, b"");
        }
        program.kill().with_context(|| format!("kill `{}`", self.line()))?;
        // Only to collect the exit status: the kill is what is reported.
        let _ = program.wait();
        bail!("`{}` took longer than {} s and was killed{}", self.line(), limit.as_secs(), self.help())
    }

    /// Runs the program without showing it and returns its standard output, trimmed.
    ///
    /// # Errors
    /// As [`Cmd::run`]; the message ends with the program's standard error.
    pub(crate) fn output(self) -> Result<String> {
        let expression = self.expression().stdin_null().stdout_capture().stderr_capture();
        let output = expression.run().map_err(|error| self.not_started(&error))?;
        self.check(output.status, &output.stderr)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Shows the command line, runs the program with its standard error on our terminal, and returns its standard output.
    ///
    /// # Errors
    /// As [`Cmd::run`].
    pub(crate) fn shown_output(self) -> Result<String> {
        eprintln!("$ {}", self.line());
        let output = self.expression().stdout_capture().run().map_err(|error| self.not_started(&error))?;
        self.check(output.status, b"")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the program without showing it, with both of its streams going to the file `path`. Whether it succeeded, unless
    /// it took longer than its time limit: then the file ends with what its threads were doing when it was killed.
    ///
    /// # Errors
    /// If it can't be started, or the file can't be written.
    pub(crate) fn run_into(&self, path: &Path) -> Result<Ending> {
        let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
        let mut end = file.try_clone().with_context(|| format!("write {}", path.display()))?;
        let expression = self.expression().stdin_null().stderr_to_stdout().stdout_file(file);
        let program = expression.start().map_err(|error| self.not_started(&error))?;
        let waiting = || format!("wait for `{}`", self.line());
        let output = match self.time_limit {
            None => Some(program.wait().with_context(waiting)?),
            Some(limit) => program.wait_timeout(limit).with_context(waiting)?,
        };
        if let Some(output) = output {
            return Ok(if output.status.success() { Ending::Success } else { Ending::Failure });
        }
        let threads: String = program.pids().into_iter().map(threads::of).collect();
        program.kill().with_context(|| format!("kill `{}`", self.line()))?;
        // Only to collect the exit status: the kill is what is told.
        let _ = program.wait();
        let limit = self.time_limit.unwrap_or_default().as_secs();
        write!(end, "\nkilled: it took longer than {limit} s. Its threads:\n{threads}")
            .with_context(|| format!("write {}", path.display()))?;
        Ok(Ending::Killed)
    }

    /// Whether the program can be started and succeeds. Nothing is shown.
    pub(crate) fn works(self) -> bool {
        let expression = self.expression().stdin_null().stdout_null().stderr_null();
        expression.run().is_ok_and(|output| output.status.success())
    }

    /// Replaces this process by the program, so that terminal, signals and exit code are the program's own.
    /// Returns only the error if that fails.
    #[cfg(unix)]
    pub(crate) fn exec(mut self) -> anyhow::Error {
        use std::os::unix::process::CommandExt;
        eprintln!("$ {}", self.line());
        let error = self.command.exec();
        self.not_started(&error)
    }

    /// Runs the program and ends with its exit code. Returns only the error if it can't be started.
    #[cfg(not(unix))]
    pub(crate) fn exec(mut self) -> anyhow::Error {
        eprintln!("$ {}", self.line());
        match self.command.status() {
            Ok(status) => std::process::exit(status.code().unwrap_or(1)),
            Err(error) => self.not_started(&error),
        }
    }

    /// The command for `duct`. Without its own check of the exit status: the error here says more.
    fn expression(&self) -> duct::Expression {
        let mut expression = duct::cmd(self.command.get_program(), self.command.get_args());
        for (name, value) in self.command.get_envs() {
            expression = match value {
                Some(value) => expression.env(name, value),
                None => expression.env_remove(name),
            };
        }
        if let Some(dir) = self.command.get_current_dir() {
            expression = expression.dir(dir);
        }
        expression.unchecked()
    }

    fn check(&self, status: ExitStatus, stderr: &[u8]) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(stderr);
        let reason = if stderr.trim().is_empty() { String::new() } else { format!(": {}", stderr.trim()) };
        bail!("`{}` failed ({status}){reason}{}", self.line(), self.help())
    }

    fn not_started(&self, error: &io::Error) -> anyhow::Error {
        let reason = match error.kind() {
            ErrorKind::NotFound => "there is no such program here".to_owned(),
            _ => error.to_string(),
        };
        anyhow!("can't start `{}`: {reason}{}", self.line(), self.help())
    }

    fn help(&self) -> String {
        self.cure.as_ref().map(|cure| format!("\n  what helps: {cure}")).unwrap_or_default()
    }

    /// The command line as one could type it into a shell.
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

fn is_set_by_cargo_run(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| SET_BY_CARGO_RUN.iter().any(|start| name.starts_with(start)))
}

/// One word of a command line, in quotes unless a shell takes it as it is.
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
mod tests;
