//! Checks that dependencies between crates point down, against the one table of what may depend on what.

use anyhow::{Result, bail};

use crate::project::Project;
use crate::workspace::{self, Member};

/// Which crates of the workspace a crate may depend on, all kinds of dependencies counted. `?`: only as an
/// optional one, which is off with `--no-default-features`.
const LAYERS: [Layer; 17] = [
    Layer { of: "host/text", may_use: &[] },
    // The parsers of strangers' bytes: no network, no file, no clock.
    Layer { of: "host/domain-data", may_use: &["host/text"] },
    // Files that strangers made: opened and removed.
    Layer { of: "host/files", may_use: &["host/text"] },
    // What both halves of the node speak.
    Layer { of: "host/runner-api", may_use: &["host/text"] },
    Layer { of: "host/net", may_use: &["host/text"] },
    // The two halves: neither knows the other.
    Layer {
        of: "host/domain-client",
        may_use: &["host/domain-data", "host/net", "host/runner-api", "host/text", "tests/http-mock"],
    },
    Layer {
        of: "host/plugin-host",
        // What CIDs stand for, to hold a runner to those of its task.
        may_use: &[
            "host/domain-data",
            "host/files",
            "host/net",
            "host/runner-api",
            "host/text",
            "tests/http-mock",
        ],
    },
    Layer {
        of: "host/runner-cases",
        may_use: &["host/domain-data", "host/files", "host/runner-api", "host/text"],
    },
    Layer {
        of: "host/node",
        may_use: &[
            "host/domain-client",
            "host/files",
            "host/plugin-host",
            "host/net",
            "host/runner-api",
            "host/text",
            "tests/http-mock",
        ],
    },
    // Everything above, and the devnet for `demo` and `devnet`.
    Layer { of: "host/cli", may_use: &["host/*", "devnet?"] },
    // Shares no code with the host, so that the two can disagree about the protocol.
    Layer { of: "devnet", may_use: &[] },
    // Runners know the WIT, by way of the SDK, and nothing else.
    Layer { of: "sdk/rust", may_use: &[] },
    Layer { of: "plugins/*", may_use: &["sdk/rust"] },
    // A scripted HTTP server for unit tests.
    Layer { of: "tests/http-mock", may_use: &["host/net"] },
    Layer { of: "tests", may_use: &["host/*", "devnet", "tests/http-mock"] },
    Layer { of: "bench", may_use: &["host/*", "devnet", "tests"] },
    // Builds all the others.
    Layer { of: "xtask", may_use: &[] },
];

/// Packages from outside that only some crates may depend on; what only tests use does not count.
const OUTSIDE: [Outside; 5] = [
    // No wasmtime type leaves the plugin host. The bench measures wasmtime alone, for comparison.
    Outside { package: "wasmtime*", users: &["host/plugin-host", "bench"] },
    Outside { package: "cranelift*", users: &["host/plugin-host"] },
    Outside { package: "wasmparser", users: &["host/plugin-host"] },
    // The runner API knows no HTTP client, and neither does the devnet, which only answers.
    Outside {
        package: "reqwest",
        users: &["host/net", "host/plugin-host", "host/domain-client", "host/node", "host/cli", "tests"],
    },
    // HTTP servers: the status page and the devnet.
    Outside { package: "axum*", users: &["host/node", "devnet", "tests", "tests/http-mock"] },
];

/// A row of [`LAYERS`]. A trailing `*` in a name stands for any ending.
struct Layer {
    of: &'static str,
    may_use: &'static [&'static str],
}

/// A row of [`OUTSIDE`]. A trailing `*` in a name stands for any ending.
struct Outside {
    package: &'static str,
    users: &'static [&'static str],
}

/// Fails with every dependency that the tables don't allow.
///
/// # Errors
/// If there is one, if a member has no row or a row no member, or if cargo can't read the manifests.
pub(crate) fn check(project: &Project) -> Result<()> {
    let members = workspace::members(project)?;
    let problems = problems(&members, &LAYERS, &OUTSIDE);
    if problems.is_empty() {
        eprintln!("{} crates, every dependency points down", members.len());
        return Ok(());
    }
    bail!(
        "{}\n  what helps: the tables in xtask/src/layers.rs say what may depend on what",
        problems.join("\n")
    )
}

fn problems(members: &[Member], layers: &[Layer], outside: &[Outside]) -> Vec<String> {
    let mut problems = Vec::new();
    for member in members {
        match layers.iter().find(|layer| matches(layer.of, &member.folder)) {
            Some(layer) => problems.extend(against_layer(member, layer)),
            None => problems.push(format!("{} has no row in the table of layers", member.folder)),
        }
        problems.extend(against_outside(member, outside));
    }
    let is_empty = |layer: &&Layer| !members.iter().any(|member| matches(layer.of, &member.folder));
    problems.extend(
        layers
            .iter()
            .filter(is_empty)
            .map(|layer| format!("the row of {} has no crate (any more)", layer.of)),
    );
    problems
}

/// The dependencies of `member` on other members that `layer`, its row, does not allow.
fn against_layer(member: &Member, layer: &Layer) -> Vec<String> {
    let mut problems = Vec::new();
    for dependency in &member.dependencies {
        let Some(folder) = dependency.folder.as_deref().filter(|folder| *folder != member.folder) else {
            continue;
        };
        let allowed = layer.may_use.iter().find(|name| matches(name.trim_end_matches('?'), folder));
        match allowed {
            None => problems.push(format!("{} must not depend on {folder}", member.folder)),
            Some(name) if name.ends_with('?') && !dependency.optional && !dependency.dev => {
                problems.push(format!("{} may depend on {folder} only with `optional = true`", member.folder))
            }
            Some(_) => {}
        }
    }
    problems
}

/// The dependencies of `member` on packages from outside that `outside` does not allow.
fn against_outside(member: &Member, outside: &[Outside]) -> Vec<String> {
    let mut problems = Vec::new();
    for dependency in member.dependencies.iter().filter(|dependency| !dependency.dev) {
        let Some(rule) = outside.iter().find(|rule| matches(rule.package, &dependency.name)) else {
            continue;
        };
        if !rule.users.iter().any(|user| matches(user, &member.folder)) {
            let users = rule.users.join(", ");
            let (folder, name) = (&member.folder, &dependency.name);
            problems.push(format!("{folder} must not depend on {name}: that is for {users}"));
        }
    }
    problems
}

/// Whether `name` is `pattern`, or begins with it up to its trailing `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const TEST_LAYERS: [Layer; 3] = [
        Layer { of: "high", may_use: &["low", "extra?"] },
        Layer { of: "low", may_use: &[] },
        Layer { of: "extra", may_use: &[] },
    ];
    const TEST_OUTSIDE: [Outside; 1] = [Outside { package: "wasmtime*", users: &["low"] }];

    fn inside(folder: &str) -> Dependency {
        Dependency { name: folder.to_owned(), folder: Some(folder.to_owned()), dev: false, optional: false }
    }

    fn from_outside(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), folder: None, dev: false, optional: false }
    }

    /// The problems of a workspace of `high` and `low` with these dependencies, and `extra` without any.
    fn found(high: Vec<Dependency>, low: Vec<Dependency>) -> Vec<String> {
        let members = [("high", high), ("low", low), ("extra", Vec::new())].map(|(folder, dependencies)| {
            Member { folder: folder.to_owned(), dependencies, roots: Vec::new() }
        });
        problems(&members, &TEST_LAYERS, &TEST_OUTSIDE)
    }

    #[test]
    fn a_dependency_may_point_down_and_not_up() {
        assert!(found(vec![inside("low")], vec![]).is_empty());
        assert_eq!(found(vec![], vec![inside("high")]), ["low must not depend on high"]);
        let dev = Dependency { dev: true, ..inside("high") };
        assert_eq!(found(vec![], vec![dev]), ["low must not depend on high"], "tests are no exception");
    }

    #[test]
    fn a_crate_may_depend_on_itself_in_its_tests() {
        assert!(found(vec![], vec![Dependency { dev: true, ..inside("low") }]).is_empty());
    }

    #[test]
    fn some_dependencies_must_be_optional() {
        let found_always = found(vec![inside("extra")], vec![]);
        assert_eq!(found_always, ["high may depend on extra only with `optional = true`"]);
        assert!(found(vec![Dependency { optional: true, ..inside("extra") }], vec![]).is_empty());
    }

    #[test]
    fn packages_from_outside_have_their_users() {
        assert!(found(vec![], vec![from_outside("wasmtime-wasi")]).is_empty());
        let wrong = found(vec![from_outside("wasmtime-wasi")], vec![]);
        assert_eq!(wrong, ["high must not depend on wasmtime-wasi: that is for low"]);
        assert!(found(vec![Dependency { dev: true, ..from_outside("wasmtime") }], vec![]).is_empty());
    }

    #[test]
    fn members_and_rows_belong_together() {
        let stranger = Member { folder: "new".to_owned(), dependencies: vec![], roots: vec![] };
        let problems = problems(&[stranger], &TEST_LAYERS[1..2], &[]);
        let want = ["new has no row in the table of layers", "the row of low has no crate (any more)"];
        assert_eq!(problems, want);
    }
}
