//! The processes that a program which hosts runners starts of itself.

use std::process::ExitCode;

use crate::load::compiler::child::compile_if_asked;
use crate::sandbox::guest;

/// Does the work of a compiler or sandbox process, if this process was started as one.
///
/// Components are written by strangers: each is compiled, and run, in processes of their own with little memory, no
/// environment and no file but the task's. Such a process is this very program: the first thing that its `main` does must
/// be this call, before it reads arguments or starts threads.
///
/// ```
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(code) = posemesh_plugin_host::run_child_if_asked() {
///         return code;
///     }
///     println!("the program's own work");
///     ExitCode::SUCCESS
/// }
/// ```
pub fn run_child_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> =
        std::env::args_os().filter_map(|argument| argument.into_string().ok()).collect();
    let arguments = arguments.get(1..)?;
    compile_if_asked(arguments).or_else(|| guest::run_if_asked(arguments))
}
