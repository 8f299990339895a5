//! What the projects of languages have in common whose code speaks WASI 0.1 and is built by `make`.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;

use crate::commands::plugin::new::project::{Project, ProjectName, with_sdk};
use crate::commands::plugin::written::NewFile;

/// Where the templates' Makefiles look for what turns WASI 0.1 into WASI 0.2.
pub(super) const ADAPTER: &str = "posemesh/wasi_snapshot_preview1.reactor.wasm";

/// The project of a name.
pub(super) fn project(
    name: &ProjectName,
    template: &[(&str, &'static str)],
    sdk: &[(&str, &'static str)],
) -> Project {
    let component = format!("{}.wasm", name.in_code());
    let mut files = with_sdk(name, template, sdk);
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

/// Whether the Makefile of a template looks for the adapter where it is written.
#[cfg(test)]
pub(super) fn finds_the_adapter(template: &[(&str, &str)]) -> bool {
    let makefile = template.iter().find(|(path, _)| *path == "Makefile");
    makefile.is_some_and(|(_, text)| text.contains(&format!("ADAPTER := {ADAPTER}\n")))
}
