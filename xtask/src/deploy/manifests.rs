//! The manifests for Kubernetes: put together by kubectl, and held against Kubernetes' own schemas, each selector against what it
//! is to select, and what is kept against what has to outlast an update.

mod lasting;
mod resource;
mod selection;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::fetched;
use super::skip::skipped;
use crate::process::Cmd;
use crate::project::Project;

const BASE: &str = "deploy/kubernetes/base";
const MONITORING: &str = "deploy/kubernetes/monitoring";
/// A file of YAML as a list of JSON, for who has a library for it: the environment of the validator.
const TO_JSON: &str = "import json, sys, yaml
json.dump([one for one in yaml.safe_load_all(open(sys.argv[1])) if one], sys.stdout)";

pub(super) fn check(project: &Project) -> Result<()> {
    let validate = match fetched::kubernetes_validate(project) {
        Ok(validate) => validate,
        Err(error) => {
            eprintln!("{error:#}");
            skipped("manifests against Kubernetes' schemas", "kubernetes-validate");
            return Ok(());
        }
    };
    let python = validate.with_file_name("python");
    let validate = |path: &Path| Cmd::new(&validate).args(["--strict", "--quiet"]).arg(path).run();
    if !Cmd::new("kubectl").args(["version", "--client"]).works() {
        skipped("the manifests as one", "kubectl");
        for entry in fs::read_dir(project.root.join(BASE))?.flatten() {
            if entry.file_name() != "kustomization.yaml" {
                validate(&entry.path())?;
            }
        }
        return Ok(());
    }
    for folder in [BASE, MONITORING] {
        let text = Cmd::new("kubectl").dir(&project.root).args(["kustomize", folder]).output()?;
        let path = project.target.join("manifests.yaml");
        let write = |text: &str| fs::write(&path, text).with_context(|| format!("write {}", path.display()));
        write(&text)?;
        let resources = Cmd::new(&python).args(["-c", TO_JSON]).arg(&path).output()?;
        let resources: Vec<Value> = serde_json::from_str(&resources).context("read the manifests as JSON")?;
        let faults = [selection::faults(&resources), lasting::faults(&resources)].concat();
        if !faults.is_empty() {
            bail!("{folder}, as `kubectl kustomize` renders it: {}", faults.join("; "));
        }
        // What is not Kubernetes' own has no schema here.
        let ours = text.split("\n---\n").filter(|one| {
            !one.contains("apiVersion: monitoring.coreos.com/") && !one.contains("apiVersion: keda.sh/")
        });
        write(&ours.collect::<Vec<_>>().join("\n---\n"))?;
        validate(&path)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// The number behind the first of these words.
    fn number(text: &str, before: &str) -> u64 {
        let rest = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is missing")).1;
        rest.trim_start_matches(['"', ' '])
            .split(|char: char| !char.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn a_pod_is_not_killed_before_the_node_has_ended() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = fs::read_to_string(root.join(BASE).join("stateful-set.yaml")).unwrap();
        let grace = number(&text, "{name: SHUTDOWN_GRACE_SECS, value: ");
        assert!(number(&text, "terminationGracePeriodSeconds: ") >= grace + 5, "{grace}");
        // docker waits for 10 s.
        let image = fs::read_to_string(root.join("deploy/container/Containerfile")).unwrap();
        assert!(number(&image, "SHUTDOWN_GRACE_SECS=") <= 8);
        let compose = fs::read_to_string(root.join("deploy/container/compose.yml")).unwrap();
        assert!(number(&compose, "stop_grace_period: ") >= number(&compose, "SHUTDOWN_GRACE_SECS: ") + 5);
    }
}
