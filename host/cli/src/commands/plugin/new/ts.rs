//! The project of a runner in TypeScript for QuickJS, with the SDK of JavaScript, its types and the contract beside it.

use crate::commands::plugin::new::embedded::embedded;
use crate::commands::plugin::new::js;
use crate::commands::plugin::new::project::{Project, ProjectName, with_sdk};

const TEMPLATE: [(&str, &str); 14] = embedded! { "templates/ts":
    "README.md"
    "gitignore"
    "package-lock.json"
    "package.json"
    "src/app.test.ts"
    "src/app.ts"
    "src/main.ts"
    "tsconfig.json"
    "cases/heights/task.json"
    "cases/heights/inputs/points.csv"
    "cases/heights/expected/summary.json"
    "cases/no-such-column/task.json"
    "cases/no-such-column/inputs/points.csv"
    "cases/no-such-column/expected/failure.json"
};

/// The project of a name.
pub(super) fn project(name: &ProjectName) -> Project {
    let component = format!("{}.wasm", name.in_code());
    Project {
        files: with_sdk(name, &TEMPLATE, &js::SDK),
        next: vec![
            "npm ci".to_owned(),
            "npm test".to_owned(),
            "npm run build".to_owned(),
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
    fn no_file_of_the_template_is_forgotten() {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/templates/ts");
        assert_eq!(carried(&TEMPLATE, &[]), found_in(&template));
    }
}
