//! `diag`: packs what somebody else needs to help into one file: settings, state, metrics and the end of the log. Secrets are
//! masked, and looked for once more in all of it.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_net::secret::Secret;
use posemesh_node_core::config::Config;
use posemesh_node_core::doctor::{Finding, examine};
use posemesh_text::{REDACTED, escaped_json};
use serde_json::{Map, Value, json};

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::{self, out, tell};

/// How much of the end of LOG_FILE is packed, in bytes.
const LOG_BYTES: u64 = 256 << 10;
/// A secret that is shorter is found in too much that is none.
const SHORTEST_SECRET: usize = 6;

#[derive(Debug, Args)]
pub(crate) struct DiagArgs {
    /// The file to be written, readable by this user alone; `-` for standard output.
    #[arg(long, value_name = "FILE", default_value = "posemesh-diag.json")]
    out: PathBuf,
    /// Have `doctor` look at everything as well, which takes some seconds.
    #[arg(long)]
    doctor: bool,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Writes the file; what could not be had is told in it.
///
/// # Errors
/// When the file of variables can't be read, or the file can't be written.
pub(crate) async fn run(args: DiagArgs) -> Result<ExitCode> {
    let environment = args.node.environment()?;
    let config = Config::load(&environment);
    let mut packed = Map::new();
    packed.insert("program".to_owned(), json!({"version": env!("CARGO_PKG_VERSION")}));
    packed.insert(
        "configuration".to_owned(),
        match &config {
            Ok(config) => json!({"settings": config.effective(), "warnings": config.warnings(), "notes": config.notes()}),
            Err(problems) => json!({"problems": problems.to_string()}),
        },
    );
    packed.insert("node".to_owned(), node(&args.node).await);
    let log_file = config.as_ref().ok().and_then(|config| config.log.file.clone());
    if let Some(file) = log_file {
        packed.insert(
            "log_file".to_owned(),
            end_of(&file.path).unwrap_or_else(|error| json!({"error": error.to_string()})),
        );
    }
    if args.doctor {
        let mut findings: Vec<Finding> = Vec::new();
        examine(&environment, &mut |finding| findings.push(finding)).await;
        packed.insert("doctor".to_owned(), json!(findings));
    }
    let mut packed = Value::Object(packed);
    let secrets = environment.secrets();
    mask(&mut packed, &secrets);
    if args.out == Path::new("-") {
        output::json(&packed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = escaped_json(&serde_json::to_string_pretty(&packed)?).to_string();
    write(&args.out, &text).with_context(|| format!("writing {}", args.out.display()))?;
    out!("{}", args.out.display());
    tell!(
        "secrets are masked; look through the file before you hand it on: it names servers, domains and runners"
    );
    Ok(ExitCode::SUCCESS)
}

/// What the running node says, or why it says nothing.
async fn node(args: &NodeApiArgs) -> Value {
    let api = match NodeApi::new(args) {
        Ok(api) => api,
        Err(error) => return json!({"error": format!("{error:#}")}),
    };
    let status = match api.status().await {
        Ok(status) => status,
        Err(error) => return json!({"error": format!("{error:#}")}),
    };
    let lines = |text: Result<String>| match text {
        Ok(text) => json!(text.lines().collect::<Vec<_>>()),
        Err(error) => json!({"error": format!("{error:#}")}),
    };
    json!({"status": status, "metrics": lines(api.text("/metrics").await), "log": lines(api.text("/api/log").await)})
}

fn end_of(path: &Path) -> Result<Value> {
    // Whatever lies there is not waited for.
    let mut file = posemesh_files::open_regular(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line may be a part of one.
    let from = if length > LOG_BYTES { text.find('\n').map_or(0, |at| at + 1) } else { 0 };
    Ok(json!(text.get(from..).unwrap_or_default().lines().collect::<Vec<_>>()))
}

/// Masks secrets wherever they stand: none should be there, and one that is would be handed on.
fn mask(value: &mut Value, secrets: &[Secret]) {
    match value {
        Value::String(text) => {
            *text = masked(std::mem::take(text), secrets);
        }
        Value::Array(all) => all.iter_mut().for_each(|one| mask(one, secrets)),
        Value::Object(all) => {
            for (name, mut value) in std::mem::take(all) {
                mask(&mut value, secrets);
                all.insert(masked(name, secrets), value);
            }
        }
        _ => {}
    }
}

/// A text without secrets, be they written as they are or as JSON, which log lines are.
fn masked(mut text: String, secrets: &[Secret]) -> String {
    for secret in secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST_SECRET) {
        let json = Value::from(secret).to_string();
        let json = json.trim_matches('"');
        for form in [secret, json] {
            if text.contains(form) {
                text = text.replace(form, REDACTED);
            }
        }
    }
    text
}

/// Puts a file that only this user can read in place of whatever lies there.
fn write(path: &Path, text: &str) -> Result<()> {
    let path = std::path::absolute(path)?;
    Ok(posemesh_files::write_private(&path, format!("{text}\n").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        let mut packed = json!({
            "log": ["a token hunter2hunter2 in a line"], "deep": {"x": ["hunter2hunter2"]}, "n": 7,
            "hunter2hunter2": r#"{"a line": "it was tok\"en\\1"}"#,
        });
        mask(&mut packed, &[Secret::new("hunter2hunter2"), Secret::new("tok\"en\\1"), Secret::new("a")]);
        assert_eq!(
            packed,
            json!({"log": ["a token [redacted] in a line"], "deep": {"x": ["[redacted]"]}, "n": 7,
                   "[redacted]": r#"{"a line": "it was [redacted]"}"#})
        );
    }
}
