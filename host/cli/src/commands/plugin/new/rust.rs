//! The project of a runner in Rust, with the SDK beside it: it builds with nothing but published crates.

use posemesh_plugin_host::contract;

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::project::{Project, ProjectName, filled};
use crate::commands::plugin::written::NewFile;

const TEMPLATE: [(&str, &str); 11] = embedded! { "templates/rust":
    "Cargo.toml"
    "README.md"
    "gitignore"
    "rust-toolchain.toml"
    "src/lib.rs"
    "cases/heights/task.json"
    "cases/heights/inputs/points.csv"
    "cases/heights/expected/summary.json"
    "cases/no-such-column/task.json"
    "cases/no-such-column/inputs/points.csv"
    "cases/no-such-column/expected/failure.json"
};

/// Written apart: its packages are sorted by name, so the runner's own has no fixed place.
const LOCK: &str = include_str!("../../../../../../sdk/templates/rust/Cargo.lock");

const SDK: [(&str, &str); 14] = embedded! { "rust" as "posemesh-runner":
    "Cargo.toml"
    "README.md"
    "src/artifact.rs"
    "src/component.rs"
    "src/description.rs"
    "src/error.rs"
    "src/host.rs"
    "src/host/component.rs"
    "src/host/memory.rs"
    "src/input.rs"
    "src/lib.rs"
    "src/runner.rs"
    "src/task.rs"
    "src/testing.rs"
};

/// The project of a name.
pub(super) fn project(name: &ProjectName) -> Project {
    let mut files = filled(name, &TEMPLATE);
    files.push(NewFile::text("Cargo.lock", lock(name)));
    // As they are: nothing in the SDK has the runner's name.
    let mut as_it_is = |path: String, text: &'static str| {
        files.push(NewFile::text(path, text));
    };
    for (path, text) in SDK {
        as_it_is(path.to_owned(), text);
    }
    for (file, text) in contract::FILES {
        as_it_is(format!("posemesh-runner/wit/{file}"), text);
    }
    let component = format!("target/wasm32-wasip2/release/{}.wasm", name.in_code());
    Project {
        files,
        next: vec![
            "cargo test".to_owned(),
            "cargo build --release --target wasm32-wasip2".to_owned(),
            format!("posemesh-node plugin test {component} cases"),
        ],
    }
}

/// The lock file, with the packages in Cargo's order: one in another order is no longer locked.
fn lock(name: &ProjectName) -> String {
    let filled = name.fill(LOCK);
    let mut blocks = filled.split("[[package]]\n");
    let head = blocks.next().unwrap_or_default();
    let mut packages: Vec<&str> = blocks.map(str::trim_end).collect();
    packages.sort_by_key(|package| package.lines().next());
    let packages: Vec<String> = packages.iter().map(|package| format!("[[package]]\n{package}\n")).collect();
    format!("{head}{}", packages.join("\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::plugin::new::project::{carried, found_in};

    #[test]
    fn no_file_of_the_sdk_and_of_the_template_is_forgotten() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
        let of_sdk = SDK.map(|(path, text)| (path.trim_start_matches("posemesh-runner/"), text));
        assert_eq!(carried(&of_sdk, &[]), found_in(&sdk.join("rust")));
        assert_eq!(carried(&TEMPLATE, &["Cargo.lock"]), found_in(&sdk.join("templates/rust")));
    }

    #[test]
    fn the_lock_file_stays_sorted_whatever_the_name() {
        for name in ["a", "my-runner", "zz"] {
            let lock = lock(&name.parse().unwrap());
            let names: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
            assert!(names.is_sorted() && names.contains(&format!("{name:?}").as_str()), "{names:?}");
        }
        assert_eq!(lock(&"my-runner".parse().unwrap()), LOCK);
    }
}
