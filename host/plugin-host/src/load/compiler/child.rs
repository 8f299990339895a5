//! The compiler process: this program, started with a hidden command. It takes its limits before it reads
//! the first byte of the component.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use posemesh_text::one_line;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use crate::code::engine::{compiling_engine, hasty_engine};
use crate::load::compiler::refusal::{Refusal, compile_here};
use crate::load::error::MAX_CAUSE;

/// The hidden command.
const COMMAND: &str = "compile-component";
/// The same for somebody who waits for it.
const IN_HASTE: &str = "compile-component-in-haste";
const MEMORY_BYTES: &str = "--memory-bytes";
const CPU_SECONDS: &str = "--cpu-seconds";
/// The most file descriptors: three pipes, and what the standard library opens.
const MAX_DESCRIPTORS: u64 = 64;

/// Does the work of the compiler process, if this process was started as one.
pub(crate) fn compile_if_asked(arguments: &[String]) -> Option<ExitCode> {
    Some(compile_stdin(&ChildLimits::parse(arguments)?))
}

/// The limits of a compiler process, as it gets them by its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChildLimits {
    /// Address space, in bytes.
    pub(super) memory_bytes: u64,
    /// Time on the processor, over all threads.
    pub(super) cpu_seconds: u64,
    /// Soon rather than well.
    pub(super) in_haste: bool,
}

impl ChildLimits {
    /// The arguments that say this.
    pub(super) fn arguments(&self) -> [String; 5] {
        [
            if self.in_haste { IN_HASTE } else { COMMAND }.to_owned(),
            MEMORY_BYTES.to_owned(),
            self.memory_bytes.to_string(),
            CPU_SECONDS.to_owned(),
            self.cpu_seconds.to_string(),
        ]
    }

    /// What [`ChildLimits::arguments`] made; nothing else is a request to compile.
    fn parse(arguments: &[String]) -> Option<Self> {
        let [command, memory, memory_bytes, cpu, cpu_seconds] = arguments else { return None };
        let in_haste = command == IN_HASTE;
        if !(in_haste || command == COMMAND) || (memory.as_str(), cpu.as_str()) != (MEMORY_BYTES, CPU_SECONDS)
        {
            return None;
        }
        Some(Self {
            memory_bytes: memory_bytes.parse().ok()?,
            cpu_seconds: cpu_seconds.parse().ok()?,
            in_haste,
        })
    }

    fn apply(&self) -> io::Result<()> {
        let limits = [
            (Resource::As, self.memory_bytes),
            (Resource::Cpu, self.cpu_seconds),
            // It writes to pipes only: no file and no core dump.
            (Resource::Fsize, 0),
            (Resource::Core, 0),
            (Resource::Nofile, MAX_DESCRIPTORS),
        ];
        for (resource, most) in limits {
            // The node itself may have less, which can't be raised.
            let most = getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
            // The hard limit too: code that took over the compiler could otherwise raise the soft one again.
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        if !self.in_haste {
            // Tasks that run come first. Not being allowed to step back does no harm.
            let _ = nice(10);
        }
        Ok(())
    }
}

enum ChildError {
    Refused(Refusal),
    Engine(wasmtime::Error),
    Io(&'static str, io::Error),
}

/// Compiles the component on standard input to standard output.
fn compile_stdin(limits: &ChildLimits) -> ExitCode {
    match compile(limits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ChildError::Refused(Refusal { kind, text })) => {
            tell(&text);
            ExitCode::from(kind.exit_code())
        }
        Err(ChildError::Engine(error)) => {
            tell(&format!("setting up the engine: {}", one_line(format_args!("{error:#}"), MAX_CAUSE)));
            ExitCode::FAILURE
        }
        Err(ChildError::Io(what, error)) => {
            tell(&format!("{what}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the node what is wrong. If that is gone, there is nobody to be told; `eprintln!` would panic.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn compile(limits: &ChildLimits) -> Result<(), ChildError> {
    limits.apply().map_err(|error| ChildError::Io("taking the compiler's limits", error))?;
    let mut bytes = Vec::new();
    // The parent has checked its size.
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| ChildError::Io("reading the component", error))?;
    let engine = if limits.in_haste { hasty_engine() } else { compiling_engine() };
    let engine = engine.map_err(ChildError::Engine)?;
    let code = compile_here(&engine, &bytes).map_err(ChildError::Refused)?;
    let mut out = io::stdout().lock();
    let written = out.write_all(&code).and_then(|()| out.flush());
    written.map_err(|error| ChildError::Io("handing over the code", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_parent_says_is_a_request_to_compile() {
        for in_haste in [false, true] {
            let limits = ChildLimits { memory_bytes: 1 << 30, cpu_seconds: 7, in_haste };
            let arguments = limits.arguments();
            assert_eq!(ChildLimits::parse(&arguments), Some(limits));
        }
        for others in [vec!["run"], vec!["compile-component"], vec!["compile-component", "--help"], vec![]] {
            let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
            assert_eq!(ChildLimits::parse(&others), None, "{others:?}");
        }
    }
}
