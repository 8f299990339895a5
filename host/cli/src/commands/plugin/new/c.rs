//! The project of a runner in C, with the SDK, its bindings and the contract beside it.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::project::{Project, ProjectName, with_sdk};
use crate::commands::plugin::written::NewFile;

const TEMPLATE: [(&str, &str); 12] = embedded! { "templates/c":
    "Makefile"
    "README.md"
    "app.c"
    "gitignore"
    "requirements.txt"
    "test_app.c"
    "cases/heights/task.json"
    "cases/heights/inputs/points.csv"
    "cases/heights/expected/summary.json"
    "cases/no-such-column/task.json"
    "cases/no-such-column/inputs/points.csv"
    "cases/no-such-column/expected/failure.json"
};

const SDK: [(&str, &str); 11] = embedded! { "c":
    "posemesh/bindings/runner.c"
    "posemesh/bindings/runner.h"
    "posemesh/component.c"
    "posemesh/files.c"
    "posemesh/host.h"
    "posemesh/json.c"
    "posemesh/json.h"
    "posemesh/posemesh.h"
    "posemesh/task.c"
    "posemesh/testing.c"
    "posemesh/testing.h"
};

/// Where the template's Makefile looks for what turns WASI 0.1, which C libraries speak, into WASI 0.2.
const ADAPTER: &str = "posemesh/wasi_snapshot_preview1.reactor.wasm";

/// The project of a name.
pub(super) fn project(name: &ProjectName) -> Project {
    let component = format!("{}.wasm", name.in_code());
    let mut files = with_sdk(name, &TEMPLATE, &SDK);
    files.push(NewFile { path: ADAPTER.into(), bytes: WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER.into() });
    Project {
        files,
        next: vec![
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt".to_owned(),
            "make test".to_owned(),
            "make".to_owned(),
            format!("posemesh-node plugin test {component} cases"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::plugin::new::project::{carried, found_in};

    #[test]
    fn no_file_of_the_sdk_and_of_the_template_is_forgotten() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
        assert_eq!(carried(&SDK, &["README.md"]), found_in(&sdk.join("c")));
        assert_eq!(carried(&TEMPLATE, &[]), found_in(&sdk.join("templates/c")));
    }

    #[test]
    fn the_adapter_lies_where_the_makefile_looks_for_it() {
        let makefile = TEMPLATE.iter().find(|(path, _)| *path == "Makefile");
        assert!(makefile.is_some_and(|(_, text)| text.contains(&format!("ADAPTER := {ADAPTER}\n"))));
    }
}
