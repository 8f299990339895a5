//! The project of a runner in Go, with the SDK, its bindings and the contract beside it.

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::project::{Project, ProjectName};
use crate::commands::plugin::new::with_make;

const TEMPLATE: [(&str, &str); 14] = embedded! { "templates/go":
    "Makefile"
    "README.md"
    "app.go"
    "app_test.go"
    "cases/heights/expected/summary.json"
    "cases/heights/inputs/points.csv"
    "cases/heights/task.json"
    "cases/no-such-column/expected/failure.json"
    "cases/no-such-column/inputs/points.csv"
    "cases/no-such-column/task.json"
    "gitignore"
    "go.mod"
    "main.go"
    "requirements.txt"
};

const SDK: [(&str, &str); 29] = embedded! { "go":
    "posemesh/component/component.go"
    "posemesh/component/component_wasip1.go"
    "posemesh/component/memory_wasip1.go"
    "posemesh/component/node_wasip1.go"
    "posemesh/errors.go"
    "posemesh/files.go"
    "posemesh/go.mod"
    "posemesh/host.go"
    "posemesh/internal/bindings/export_posemesh_runner_entry/entry.go"
    "posemesh/internal/bindings/posemesh_runner_control/empty.s"
    "posemesh/internal/bindings/posemesh_runner_control/wit_bindings.go"
    "posemesh/internal/bindings/posemesh_runner_entry/empty.s"
    "posemesh/internal/bindings/posemesh_runner_entry/wit_bindings.go"
    "posemesh/internal/bindings/posemesh_runner_inputs/empty.s"
    "posemesh/internal/bindings/posemesh_runner_inputs/wit_bindings.go"
    "posemesh/internal/bindings/posemesh_runner_outputs/empty.s"
    "posemesh/internal/bindings/posemesh_runner_outputs/wit_bindings.go"
    "posemesh/internal/bindings/posemesh_runner_types/empty.s"
    "posemesh/internal/bindings/posemesh_runner_types/wit_bindings.go"
    "posemesh/internal/bindings/wit_exports.go"
    "posemesh/internal/wit/LICENSE"
    "posemesh/internal/wit/runtime/empty.s"
    "posemesh/internal/wit/runtime/runtime.go"
    "posemesh/internal/wit/types/option.go"
    "posemesh/internal/wit/types/result.go"
    "posemesh/internal/wit/types/unit.go"
    "posemesh/postest/postest.go"
    "posemesh/runner.go"
    "posemesh/task.go"
};

/// The project of a name.
pub(super) fn project(name: &ProjectName) -> Project {
    with_make::project(name, &TEMPLATE, &SDK)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::plugin::new::project::{carried, found_in};

    #[test]
    fn no_file_of_the_sdk_and_of_the_template_is_forgotten() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
        assert_eq!(carried(&SDK, &["README.md"]), found_in(&sdk.join("go")));
        assert_eq!(carried(&TEMPLATE, &[]), found_in(&sdk.join("templates/go")));
    }

    #[test]
    fn the_adapter_lies_where_the_makefile_looks_for_it() {
        assert!(with_make::finds_the_adapter(&TEMPLATE));
    }
}
