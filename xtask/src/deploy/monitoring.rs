//! Alert rules and dashboard: read by Prometheus' own tool, and about metrics that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::fetched;
use super::skip::skipped;
use crate::process::Cmd;
use crate::project::Project;

const RULES: &str = "deploy/prometheus/alerts.yml";
const RULES_TESTS: [&str; 2] =
    ["deploy/prometheus/alerts.test.yml", "deploy/prometheus/alerts.clock.test.yml"];
const DASHBOARD: &str = "deploy/grafana/posemesh-node.json";
const METRICS: &str = "docs/metrics.md";
/// The rules as a resource of Prometheus' operator.
pub(crate) const PROMETHEUS_RULE: &str = "deploy/kubernetes/monitoring/prometheus-rule.yaml";
/// What stands before the rules there.
const RULE_HEAD: &str = "\
# Generated from deploy/prometheus/alerts.yml by `cargo xtask docs`. Do not edit. Prometheus takes the rules that its `ruleSelector`
# selects; where that asks for a label of its own, an overlay adds it.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: posemesh-node
spec:
";
/// The endings of a histogram's series.
const ENDINGS: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(super) fn check(project: &Project) -> Result<()> {
    let unknown = unknown_metrics(&project.root)?;
    if !unknown.is_empty() {
        bail!("no metric of {METRICS}: {}", unknown.join(", "));
    }
    let promtool = match fetched::promtool(project) {
        Ok(promtool) => promtool,
        Err(error) => {
            eprintln!("{error:#}");
            skipped("rules and queries as Prometheus reads them", "promtool");
            return Ok(());
        }
    };
    let rules = |path: &Path| Cmd::new(&promtool).dir(&project.root).args(["check", "rules"]).arg(path).run();
    rules(&project.root.join(RULES))?;
    Cmd::new(&promtool).dir(&project.root).args(["test", "rules"]).args(RULES_TESTS).run()?;
    // A query is a rule without a name: written as one, the same tool reads it.
    let queries = queries(&project.root)?;
    let recorded =
        queries.iter().enumerate().map(|(at, query)| json!({"record": format!("query_{at}"), "expr": query}));
    let group = json!({"groups": [{"name": "dashboard", "rules": recorded.collect::<Vec<_>>()}]});
    let path = project.target.join("dashboard.rules.yml");
    // JSON is YAML.
    fs::write(&path, group.to_string()).with_context(|| format!("write {}", path.display()))?;
    rules(&path)?;
    let path = project.target.join("dashboard.test.yml");
    fs::write(&path, share_of_failures(&project.root)?.to_string())
        .with_context(|| format!("write {}", path.display()))?;
    Cmd::new(&promtool).args(["test", "rules"]).arg(&path).run()
}

/// A test for promtool: of one request each a second that ends so, a quarter are failures.
fn share_of_failures(root: &Path) -> Result<Value> {
    let queries = queries(root)?;
    let query = queries.iter().find(|query| query.contains("no_answer")).context("a query for failures")?;
    let series = |result: &str| {
        json!({"series": format!("posemesh_node_requests_total{{instance=\"a\",peer=\"dms\",result=\"{result}\"}}"),
               "values": "0+60x20"})
    };
    let ends = ["200", "204", "404", "409", "405", "501", "503", "no_answer"];
    Ok(json!({"rule_files": [], "evaluation_interval": "1m", "tests": [{
        "interval": "1m", "input_series": ends.map(series),
        "promql_expr_test": [
            {"expr": query, "eval_time": "15m", "exp_samples": [{"labels": "{peer=\"dms\"}", "value": 0.25}]},
        ],
    }]}))
}

/// The alert rules as a resource of Prometheus' operator.
///
/// # Errors
/// If they can't be read, or do not begin with their groups.
pub(crate) fn prometheus_rule(root: &Path) -> Result<String> {
    let rules = fs::read_to_string(root.join(RULES)).with_context(|| format!("read {RULES}"))?;
    let at = rules.find("groups:\n").with_context(|| format!("{RULES} has no groups"))?;
    let (_, groups) = rules.split_at(at);
    let lines =
        groups.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    Ok(RULE_HEAD.to_owned() + &lines.collect::<String>())
}

/// The dashboard's queries, with values for its variables.
fn queries(root: &Path) -> Result<Vec<String>> {
    let path = root.join(DASHBOARD);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let dashboard: Value =
        serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    let mut found = Vec::new();
    collect(&dashboard, &mut found);
    Ok(found)
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(query) if name == "expr" => {
                        let query = query.replace("$__rate_interval", "5m").replace("$__interval", "5m");
                        found.push(query.replace("$job", ".*").replace("$instance", ".*"));
                    }
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// The metrics in the rules and in the dashboard that docs/metrics.md does not have, and the documented ones that nothing
/// watches.
fn unknown_metrics(root: &Path) -> Result<Vec<String>> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"));
    let documented = read(METRICS)?;
    let documented: BTreeSet<&str> =
        documented.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut used = names(&read(RULES)?);
    for query in queries(root)? {
        used.extend(names(&query));
    }
    let known = |name: &str| {
        let family = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        documented.contains(name) || family.is_some_and(|family| documented.contains(family))
    };
    Ok(used.into_iter().filter(|name| !known(name)).collect())
}

/// The words of a text that are names of the node's metrics.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    let metrics = words.filter(|word| word.starts_with("posemesh_node_") || word.starts_with("process_"));
    metrics.map(str::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_dashboard_name_only_metrics_that_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(unknown_metrics(&root).unwrap(), Vec::<String>::new());
        assert!(queries(&root).unwrap().len() > 40);
    }

    #[test]
    fn the_resource_for_the_operator_has_the_rules_as_they_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let current = fs::read_to_string(root.join(PROMETHEUS_RULE)).unwrap_or_default();
        assert!(
            current == prometheus_rule(&root).unwrap(),
            "{PROMETHEUS_RULE} differs from {RULES}: `cargo xtask docs` writes it"
        );
        let kustomization = root.join("deploy/kubernetes/monitoring/kustomization.yaml");
        assert!(fs::read_to_string(kustomization).unwrap().contains("- prometheus-rule.yaml\n"));
    }

    #[test]
    fn names_are_found_in_queries() {
        let found = names("sum(rate(posemesh_node_x_total{a=\"b\"}[5m])) > process_y or up == 1");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["posemesh_node_x_total", "process_y"]);
    }
}
