//! `plugin run`: one run of a runner, with files as inputs and artifacts.

mod printed;
mod shown;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Error, Result, bail};
use clap::Args;
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::run::{FileRun, FileRunError, choose_capability, run as run_on_files};
use posemesh_text::{escaped, escaped_json};
use uuid::Uuid;

use self::printed::Printed;
use self::shown::show_until_end;
use crate::input_arg::check_input;
use crate::meta_arg;
use crate::output::{out, tell};
use crate::runner_loading::load;
use crate::settings::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct PluginRunArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// Input file; its CID is the file's name, or the text before `=`. Can be repeated; files with the same CID before
    /// `=` are the parts of one input.
    #[arg(long = "input", value_name = "[CID=]FILE")]
    inputs: Vec<String>,
    /// Parameters of the task: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "null")]
    meta: String,
    /// Capability of the task; required if the runner has several.
    #[arg(long, value_name = "CAPABILITY")]
    capability: Option<String>,
    /// Folder for the artifacts.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs the runner, shows what it prints and reports, and prints where its artifacts are; exit code 1 if the run fails.
///
/// # Errors
/// When the arguments don't fit together, or the component is refused.
pub(crate) async fn run(args: PluginRunArgs) -> Result<ExitCode> {
    let meta = JsonText::parse(&meta_arg::text(&args.meta)?).context("--meta is not JSON")?;
    let (cids, inputs) = parse_inputs(&args.inputs)?;
    let runner = load(&args.component, &args.settings.environment()?).await?;
    let capability = choose_capability(&runner.description.capabilities, args.capability.as_deref())
        .map_err(Error::msg)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("creating the folder {}", args.out.display()))?;
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = meta;
    task.inputs_cids = cids;

    let reports = Reports::new(ReportLimits::default());
    let kept = tempfile::tempdir().context("creating a folder for what the runner prints")?;
    let log_file = kept.path().join("printed");
    let file_run = FileRun { log_file: Some(log_file.clone()), ..FileRun::new(task, inputs, &args.out) };
    let read = file_run.read.clone();
    let running = run_on_files(&runner, file_run, reports.clone());
    let (ended, took) = show_until_end(&runner.name, running, &reports, Printed::of(log_file)).await;
    match ended {
        Ok(artifacts) => {
            for artifact in &artifacts {
                let path = args.out.join(&artifact.logical_path).display().to_string();
                let (name, data_type) = (escaped(&artifact.name), escaped(&artifact.data_type));
                out!("{}  {} bytes  {name}  {data_type}", escaped(&path), artifact.size);
            }
            let written = artifacts.iter().map(|artifact| artifact.size).sum();
            took.tell("done", &read, Some((written, artifacts.len())));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            tell!("error: {}", escaped(&error.to_string()));
            if let FileRunError::Failed(failure) = &error {
                tell!("{}", escaped_json(&serde_json::to_string_pretty(&failure.details)?));
            }
            took.tell("failed", &read, None);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The files of each input, by CID.
type InputFiles = BTreeMap<String, Vec<PathBuf>>;

/// Reads `[CID=]FILE`: the CIDs in the order given, and the files of each.
fn parse_inputs(inputs: &[String]) -> Result<(Vec<String>, InputFiles)> {
    let (mut cids, mut files) = (Vec::new(), InputFiles::new());
    for input in inputs {
        let is_named = input.contains('=');
        let (cid, path) = match input.split_once('=') {
            Some((cid, path)) => (cid.to_owned(), PathBuf::from(path)),
            None => {
                let path = PathBuf::from(input);
                let name = path.file_name().with_context(|| format!("--input {input}: not a file"))?;
                (name.to_string_lossy().into_owned(), path)
            }
        };
        check_input(&path).with_context(|| format!("--input {input}: {}", path.display()))?;
        match files.get_mut(&cid) {
            Some(parts) if is_named => parts.push(path),
            Some(_) => bail!(
                "--input {input}: two inputs have the CID {cid}; name one as CID=FILE, or both if they are the parts of \
                 one input"
            ),
            None => {
                files.insert(cid.clone(), vec![path]);
                cids.push(cid);
            }
        }
    }
    Ok((cids, files))
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::parse_inputs;

    #[test]
    fn inputs_are_named_by_their_file_or_before_the_equals_sign() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("scan.ply");
        std::fs::write(&file, "").expect("written");
        let path = file.display().to_string();
        let (cids, files) = parse_inputs(&[path.clone(), format!("second={path}")]).expect("two inputs");
        assert_eq!(cids, ["scan.ply", "second"]);
        assert_eq!(files.get("second"), Some(&vec![file.clone()]));

        let parts = [format!("scan={path}"), format!("scan={path}")];
        let (cids, files) = parse_inputs(&parts).expect("one input of two parts");
        assert_eq!(cids, ["scan"]);
        assert_eq!(files.get("scan"), Some(&vec![file.clone(), file]));

        let twice = parse_inputs(&[path.clone(), path.clone()]).expect_err("the same CID twice").to_string();
        assert!(twice.contains("two inputs have the CID scan.ply"), "{twice}");
        let missing = parse_inputs(&["nothing.ply".to_owned()]).expect_err("no such file");
        let missing = format!("{missing:#}");
        assert!(missing.contains("nothing.ply: there is no such file"), "{missing}");
    }
}
