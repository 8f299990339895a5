//! docs/configuration.md, written from the declarations of the settings.

use std::fmt::Write as _;

use super::variable::{Declared, Group};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the settings in host/node/src/config by `cargo xtask docs`. Do not edit. -->

Every setting is an environment variable, and a key of the settings file. `posemesh-node config check` prints those that
are in effect, each with where it comes from, and reports everything that is wrong at once; `posemesh-node run` does not start then (exit
code 2).

- **Needed at least**: `PLUGINS_DIR`, and an identity: `REG_SECRET` with `SECP256K1_PRIVHEX`, or the credentials of a
  robot.
- **Values** are trimmed. A variable that is set but blank counts as unset.
- **A `.env` file** in the current directory, or the file of `--env-file`, fills in what the environment does not set,
  as lines of `NAME=value`. The value is everything behind the first `=`, trimmed, and without the one pair of quotes
  that may stand around it (`\"` or `'`). Nothing is expanded or escaped: `$`, `\\`, `#`, quotes and spaces within a
  value belong to it. A `#` at the start of a line makes it a comment; `export ` before a name, line ends of Windows
  and a byte order mark are fine. A variable that is set but blank in the environment hides the line of the file.
- **The settings file** is TOML: `posemesh-node.toml` in the current directory, the file that `POSEMESH_CONFIG` names, or
  the file of `--config`. Each setting is a key, its variable in lower case (`max_concurrency = 4`), of the type in the
  tables: *integer*, *number*, *boolean*, *text*, *bytes* (`1048576` or `\"1MiB\"`), *list* (`[\"a\", \"b\"]`, or the text
  that the variable has). There are no tables. An unknown key or a value of another type is an error with its line. `config
  check --toml` writes such a file.
- **What counts**: the environment, then the `.env` file, then the settings file, then the default. What is set but blank
  hides what comes later.
- **While the node runs**, SIGHUP (`systemctl reload`) or `posemesh-node reload` makes it read both files again: `RUST_LOG`,
  `MAX_CONCURRENCY` and `MEMORY_BUDGET` take effect at once, and runners are looked for; what else has changed is named, and
  takes effect with the next start. When something is wrong, nothing changes, and log, `/ready` and `status` say so.
- **Secrets** are marked as such. They are masked wherever values are shown, and no runner ever gets one. Each is given
  in one of three ways, and two at once are an error: the variable; `NAME_FILE`, the path of a file with the secret in
  one line; a credential of systemd of the variable's name (`LoadCredential=REG_SECRET:/etc/…`). What the environment
  has of them is taken out of the running node's environment.
- **Amounts of bytes** are numbers, or numbers with `KiB`, `MiB`, `GiB` or `TiB`: `512MiB`, `1.5GiB`. **Times** are numbers of
  what the name ends in (`_SECS`, `_MS`), or numbers with `ms`, `s`, `min`, `h` or `d`: `10min`. The same is read in `NAME.toml`.
- **Protocol** sections are those of [protocol.md](protocol.md).
";

const CLOSING: &str = "
## Variables beside the settings

| Read by | Variable | Meaning |
| --- | --- | --- |
| the node | `XDG_CACHE_HOME`, `XDG_DATA_HOME`, `HOME` | Where `CACHE_DIR`, `WORK_DIR` and `DATA_DIR` are unless they are set. The first two count if they are absolute paths. |
| the node, `plugin show`, `run`, `test` and `check` | names in `environment` of a runner's `NAME.toml` | Handed to that runner if it asks for them. From the real environment only; never a secret of the node. |
| every command | `POSEMESH_CONFIG` | The settings file, unless `--config` names another one. |
| `posemesh-node job` | `TOKEN`, `DOMAIN_ID` | The bearer of an application, and the domain that its jobs work on; `DMS_BASE_URL`, `DDS_BASE_URL` and `ALLOW_INSECURE_HTTP` count for it as for the node. |
| the node | `CREDENTIALS_DIRECTORY` | Set by systemd: the folder with the credentials of its unit. |
| `posemesh-node devnet` | `RUST_LOG` | Which lines the local network logs; `info` unless it is set. From the real environment only. |
";

/// The whole document.
pub(super) fn markdown(declared: &[Declared]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for group in Group::ALL {
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {}\n\n", group.title());
        text.push_str(
            "| Variable | Type | Default | Allowed | Meaning | Protocol |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for entry in declared.iter().filter(|entry| entry.variable.group == group) {
            text.push_str(&row(entry));
        }
    }
    text.push_str(CLOSING);
    text
}

fn row(entry: &Declared) -> String {
    let variable = &entry.variable;
    let default = match variable.default_in_words {
        Some(words) => words.to_owned(),
        None if ["none", "any"].contains(&entry.default.as_str()) => entry.default.clone(),
        None => format!("`{}`", entry.default),
    };
    let secret = if variable.secret { " Secret." } else { "" };
    let section = variable.section.unwrap_or_default();
    let cells = [
        format!("`{}`", variable.name),
        entry.variable.kind.word().to_owned(),
        default,
        entry.allowed.clone(),
        format!("{}{secret}", variable.meaning),
        section.to_owned(),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    #[test]
    fn the_document_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let document = std::fs::read_to_string(path).unwrap();
        assert!(document == Config::reference(), "docs/configuration.md is stale: run `cargo xtask docs`");
    }

    #[test]
    fn the_document_has_every_setting_once() {
        let environment = crate::config::Environment::from_iter([
            ("REG_SECRET", "hunter2"),
            ("SECP256K1_PRIVHEX", "0101010101010101010101010101010101010101010101010101010101010101"),
            ("PLUGINS_DIR", "/srv/runners"),
            ("HOME", "/home/node"),
        ]);
        let document = Config::reference();
        for setting in Config::load(&environment).unwrap().effective() {
            let rows = document.matches(&format!("\n| `{}` |", setting.name)).count();
            assert_eq!(rows, 1, "{}", setting.name);
        }
    }
}
