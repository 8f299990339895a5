//! `plugin new`: a project of a runner that builds at once.

mod c;
mod embedded;
mod go;
mod js;
mod project;
mod python;
mod rust;
mod ts;
mod with_make;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use posemesh_text::escaped;

use crate::commands::plugin::new::project::{Project, ProjectName};
use crate::commands::plugin::written::write_all;
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the runner: lower-case letters, digits and `-`, beginning with a letter.
    #[arg(value_name = "NAME")]
    name: ProjectName,
    /// Language that the runner is written in.
    #[arg(long, value_enum)]
    lang: Language,
    /// Folder of the project; it must be empty or not exist. Without it, the name.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    /// Rust, with the SDK `posemesh-runner` beside it.
    Rust,
    /// Python, with the SDK `posemesh_runner` beside it.
    Python,
    /// JavaScript for the engine QuickJS, with the SDK `posemesh-runner` beside it.
    Js,
    /// TypeScript for the engine QuickJS, with the same SDK and its types beside it.
    Ts,
    /// C, with the SDK `posemesh` and its generated bindings beside it.
    C,
    /// Go, with the SDK `posemesh` and its generated bindings beside it.
    Go,
}

impl Language {
    /// The project of a name.
    fn project(self, name: &ProjectName) -> Project {
        match self {
            Self::Rust => rust::project(name),
            Self::Python => python::project(name),
            Self::Js => js::project(name),
            Self::Ts => ts::project(name),
            Self::C => c::project(name),
            Self::Go => go::project(name),
        }
    }
}

/// Writes the project, and says what to do next.
///
/// # Errors
/// When the folder has something in it, or a file can't be written.
pub(crate) fn run(args: &NewArgs) -> Result<ExitCode> {
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    match folder.read_dir() {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!(
                    "{} is not empty; nothing was written. Name another folder with --dir",
                    folder.display()
                );
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("looking into {}", folder.display()));
        }
    }
    let project = args.lang.project(&args.name);
    write_all(&folder, &project.files, false)?;
    let path = folder.display().to_string();
    let shown = escaped(&path);
    out!("{} files in {shown}. Next:\n", project.files.len());
    out!("  cd {shown}");
    for step in &project.next {
        out!("  {step}");
    }
    Ok(ExitCode::SUCCESS)
}
