//! Writes docs/transcripts.md from the golden files of the tests: what is shown there is what was printed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The document.
pub(crate) const DOCUMENT: &str = "docs/transcripts.md";
/// What `curl` printed, by `tests/tests/transcripts.rs`: the file, what is asked, and what there is to say of it.
const CURL: (&str, [(&str, &str, &str); 8]) = (
    "tests/golden/curl",
    [
        ("health", "Is the process alive?", "For a liveness probe. It says nothing of what the node can do."),
        (
            "ready",
            "Can it take work?",
            "For a readiness probe, and for people: 200, or 503 with all that is missing.",
        ),
        ("not_ready", "Why not?", "Here somebody has paused it."),
        (
            "status",
            "What does it do?",
            "All of what the page, `status` and `top` show; here a part of it. It also has the settings, servers, capacity, tasks, \
             the last hour, runners and the state of the log and the history.",
        ),
        (
            "tasks",
            "What did the last tasks come to?",
            "Newest first. `next` of a page is `before` of the next one; it is `null` at the end.",
        ),
        (
            "metrics",
            "Metrics",
            "The text format of Prometheus, and OpenMetrics for who asks for it; [metrics.md](metrics.md) has them all.",
        ),
        (
            "events",
            "Following it",
            "`/api/events` sends the data of `/api/status` again every two seconds, as server-sent events; the page follows it.",
        ),
        (
            "admin",
            "Telling it to do something",
            "A call takes the `ADMIN_TOKEN`, unless it comes by the control socket, where the kernel says who calls. `$SOCKET` is \
             `WORK_DIR/node-…/control.sock`. `posemesh-node pause` and `resume` are the same calls.",
        ),
    ],
);
/// What `doctor` printed, by `tests/tests/doctor.rs`: the file, and what is broken.
const DOCTOR: (&str, [(&str, &str); 21]) = (
    "tests/golden/doctor",
    [
        ("nothing_is_set", "Nothing is set, but for a variable with a slip in its name"),
        ("no_plugins_dir", "`PLUGINS_DIR` names a folder that is not there"),
        ("no_runner", "The folder has no runner"),
        ("broken_runners", "A file that is no component, and a `NAME.toml` with a field that nobody knows"),
        ("work_dir_is_a_device", "`WORK_DIR` and `CACHE_DIR` can't be folders"),
        ("logs_without_a_folder", "The logs have nowhere to go"),
        ("open_to_everybody", "The key and the runners can be changed by everybody"),
        ("address_taken", "Another program has the status address"),
        ("address_of_another_machine", "The status address is that of another machine"),
        ("machine_too_small", "The machine is too small for what was set"),
        ("clock_off", "The clock is wrong"),
        ("dds_name_unknown", "The name of DDS does not exist"),
        ("dds_down", "Nobody listens at DDS"),
        ("dds_without_tls", "DDS speaks no TLS where `https` was set"),
        ("not_a_dds", "`DDS_BASE_URL` is another kind of server"),
        ("dds_by_another_name", "DDS is reached by another name than its own"),
        ("proxy_down", "Nobody listens at the proxy"),
        ("dms_path_wrong", "The path of `DMS_BASE_URL` is not whole"),
        ("dms_of_another_network", "DMS belongs to another network than DDS"),
        ("never_started", "Nothing is broken, but the node has never been started"),
        ("runs", "Nothing is broken, and the node runs"),
    ],
);
/// The line that ends each file of the latter.
const EXIT_CODE: &str = "exit code ";

/// The document, made of the golden files below `root`.
///
/// # Errors
/// If a file can't be read, or does not say how `doctor` ended.
pub(crate) fn document(root: &Path) -> Result<String> {
    let read = |folder: &str, name: &str| {
        let path = format!("{folder}/{name}.txt");
        fs::read_to_string(root.join(&path)).with_context(|| format!("read {path}"))
    };
    let mut text = "# What is printed\n\n<!-- Generated from tests/golden by `cargo xtask docs`. Do not edit. -->\n\n\
                    Tests of the node write and compare all of this, with folders, addresses and names of machines replaced.\n\n\
                    ## `curl`\n\nThe node of these transcripts has `STATUS_ADDR=127.0.0.1:8090` and an `ADMIN_TOKEN`.\n"
        .to_owned();
    for (name, title, words) in CURL.1 {
        text += &format!("\n### {title}\n\n{words}\n\n```console\n{}\n```\n", read(CURL.0, name)?.trim_end());
    }
    text += "\n## `doctor`\n\nWhat `posemesh-node doctor --quiet` prints of broken set-ups: what is not in order, and what helps. \
             What depends on the machine is left out, but where it is what is broken.\n";
    for (name, title) in DOCTOR.1 {
        let golden = read(DOCTOR.0, name)?;
        let (printed, code) = golden
            .trim_end()
            .rsplit_once(EXIT_CODE)
            .with_context(|| format!("{name}: how did doctor end?"))?;
        text += &format!(
            "\n### {title}\n\n```console\n$ posemesh-node doctor --quiet\n{}\n```\n\nThe exit code is {code}.\n",
            printed.trim_matches('\n'),
        );
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_document_has_what_was_printed() {
        let current = fs::read_to_string(root().join(DOCUMENT)).unwrap_or_default();
        assert!(current == document(&root()).unwrap(), "{DOCUMENT} is stale: `cargo xtask docs` writes it");
    }

    #[test]
    fn every_golden_file_is_in_the_document() {
        let files = |folder: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(root().join(folder)).unwrap().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let shown =
            |names: Vec<&str>| names.iter().map(|name| format!("{name}.txt")).collect::<BTreeSet<_>>();
        assert_eq!(files(CURL.0), shown(CURL.1.map(|(name, ..)| name).to_vec()));
        assert_eq!(files(DOCTOR.0), shown(DOCTOR.1.map(|(name, _)| name).to_vec()));
    }
}
