//! The project of a runner in C, with the SDK, its bindings and the contract beside it.

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::project::{Project, ProjectName};
use crate::commands::plugin::new::with_make;

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

const SDK: [(&str, &str); 12] = embedded! { "c":
    "posemesh/bindings/runner.c"
    "posemesh/bindings/runner.h"
    "posemesh/component.c"
    "posemesh/files.c"
    "posemesh/host.h"
    "posemesh/json.c"
    "posemesh/json.h"
    "posemesh/memory.c"
    "posemesh/posemesh.h"
    "posemesh/task.c"
    "posemesh/testing.c"
    "posemesh/testing.h"
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
        assert_eq!(carried(&SDK, &["README.md"]), found_in(&sdk.join("c")));
        assert_eq!(carried(&TEMPLATE, &[]), found_in(&sdk.join("templates/c")));
    }

    #[test]
    fn the_adapter_lies_where_the_makefile_looks_for_it() {
        assert!(with_make::finds_the_adapter(&TEMPLATE));
    }
}
