//! The compiler process: this program, started with a hidden command. It takes its limits before it reads
//! the first byte of the component.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use rustix::process::{Resource, Rlimit, nice, setrlimit};

use crate::component::one_line;
use crate::sandbox::Sandbox;

/// The hidden command.
pub const COMMAND: &str = "compile-component";
/// Exit code for a component that is at fault itself.
pub const REFUSED: u8 = 3;

/// The limits of a compiler process, as it gets them by its arguments.
#[derive(Debug, Clone, Args)]
pub struct ChildLimits {
    /// Address space, in bytes.
    #[arg(long)]
    pub memory_bytes: u64,
    /// Time on the processor, over all threads.
    #[arg(long)]
    pub cpu_seconds: u64,
}

impl ChildLimits {
    /// The arguments that say this.
    pub fn arguments(&self) -> Vec<String> {
        let pair = |name: &str, value: u64| [format!("--{name}"), value.to_string()];
        let mut arguments = vec![COMMAND.to_owned()];
        arguments.extend(pair("memory-bytes", self.memory_bytes));
        arguments.extend(pair("cpu-seconds", self.cpu_seconds));
        arguments
    }

    fn apply(&self) -> std::io::Result<()> {
        let limits = [
            (Resource::As, self.memory_bytes),
            (Resource::Cpu, self.cpu_seconds),
            // It writes to pipes only: no file and no core dump.
            (Resource::Fsize, 0),
            (Resource::Core, 0),
            (Resource::Nofile, 64),
        ];
        for (resource, most) in limits {
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        // Tasks that run come first. Not being allowed to step back does no harm.
        let _ = nice(10);
        Ok(())
    }
}

/// Compiles the component on standard input to standard output.
pub fn compile_stdin(limits: &ChildLimits) -> ExitCode {
    match compile(limits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Refused(error)) => {
            eprintln!("{}", one_line(&error));
            ExitCode::from(REFUSED)
        }
        Err(Failed::Io(what, error)) => {
            eprintln!("{what}: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Failed {
    Refused(wasmtime::Error),
    Io(&'static str, std::io::Error),
}

fn compile(limits: &ChildLimits) -> Result<(), Failed> {
    limits.apply().map_err(|error| Failed::Io("taking the compiler's limits", error))?;
    let mut bytes = Vec::new();
    // The parent has checked its size.
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failed::Io("reading the component", error))?;
    let engine = Sandbox::compiling_engine().map_err(Failed::Refused)?;
    let code = engine.precompile_component(&bytes).map_err(Failed::Refused)?;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(&code).and_then(|()| out.flush());
    written.map_err(|error| Failed::Io("handing over the code", error))
}
