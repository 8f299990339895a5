//! The project of a runner in JavaScript for QuickJS, with the SDK and the contract beside it.

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::project::{Project, ProjectName, with_sdk};

const TEMPLATE: [(&str, &str); 13] = embedded! { "templates/js":
    "README.md"
    "app.js"
    "app.test.js"
    "gitignore"
    "main.js"
    "package-lock.json"
    "package.json"
    "cases/heights/task.json"
    "cases/heights/inputs/points.csv"
    "cases/heights/expected/summary.json"
    "cases/no-such-column/task.json"
    "cases/no-such-column/inputs/points.csv"
    "cases/no-such-column/expected/failure.json"
};

/// The SDK, which TypeScript has too.
pub(super) const SDK: [(&str, &str); 10] = embedded! { "js":
    "posemesh-runner/component.d.ts"
    "posemesh-runner/component.js"
    "posemesh-runner/errors.js"
    "posemesh-runner/files.js"
    "posemesh-runner/index.d.ts"
    "posemesh-runner/index.js"
    "posemesh-runner/task.js"
    "posemesh-runner/testing.d.ts"
    "posemesh-runner/testing.js"
    "posemesh-runner/text.js"
};

/// The project of a name.
pub(super) fn project(name: &ProjectName) -> Project {
    let component = format!("{}.wasm", name.in_code());
    Project {
        files: with_sdk(name, &TEMPLATE, &SDK),
        next: vec![
            "npm test".to_owned(),
            "npm ci && npm run build".to_owned(),
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
        assert_eq!(carried(&SDK, &["README.md", "package.json"]), found_in(&sdk.join("js")));
        assert_eq!(carried(&TEMPLATE, &[]), found_in(&sdk.join("templates/js")));
    }
}
