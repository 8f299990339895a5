//! The name of a runner as it is typed.

use std::path::Path;

/// The runner's name in what was typed: a shell completes it to the path of the file.
pub(super) fn runner_name(typed: &str) -> String {
    let name = Path::new(typed).file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.strip_suffix(".wasm").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::runner_name;

    #[test]
    fn a_completed_path_names_the_runner_too() {
        for typed in ["pointcloud", "pointcloud.wasm", "target/plugins/pointcloud.wasm"] {
            assert_eq!(runner_name(typed), "pointcloud");
        }
    }
}
