//! The project of a runner in Python, with the SDK and the contract beside it.

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::project::{Project, ProjectName, with_sdk};

const TEMPLATE: [(&str, &str); 11] = embedded! { "templates/python":
    "README.md"
    "app.py"
    "gitignore"
    "requirements.txt"
    "test_app.py"
    "cases/heights/task.json"
    "cases/heights/inputs/points.csv"
    "cases/heights/expected/summary.json"
    "cases/no-such-column/task.json"
    "cases/no-such-column/inputs/points.csv"
    "cases/no-such-column/expected/failure.json"
};

const SDK: [(&str, &str); 9] = embedded! { "python":
    "posemesh_runner/__init__.py"
    "posemesh_runner/component.py"
    "posemesh_runner/entry.py"
    "posemesh_runner/errors.py"
    "posemesh_runner/files.py"
    "posemesh_runner/host.py"
    "posemesh_runner/memory.py"
    "posemesh_runner/task.py"
    "posemesh_runner/testing.py"
};

/// The project of a name.
pub(super) fn project(name: &ProjectName) -> Project {
    let component = format!("{}.wasm", name.in_code());
    Project {
        files: with_sdk(name, &TEMPLATE, &SDK),
        next: vec![
            "python3 -m unittest".to_owned(),
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt".to_owned(),
            format!(".venv/bin/componentize-py -d wit -w runner componentize app -o {component}"),
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
        // What makes a package of it is not for a project.
        assert_eq!(carried(&SDK, &["README.md", "pyproject.toml"]), found_in(&sdk.join("python")));
        assert_eq!(carried(&TEMPLATE, &[]), found_in(&sdk.join("templates/python")));
    }
}
