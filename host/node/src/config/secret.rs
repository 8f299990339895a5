//! Where a secret is taken from: its own variable, the file that `NAME_FILE` names, or a credential of systemd.
//!
//! One of the three, for all secrets alike: with two of them nobody could tell which one was meant.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use posemesh_files::open_regular;
use posemesh_net::secret::Secret;
use posemesh_text::one_line;
use zeroize::Zeroizing;

use super::environment::{Environment, SettingSource};
use super::secret_name::{PROXIES, SECRETS, SecretName};

/// Where systemd says that the credentials of its unit are (`LoadCredential=`).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// A secret is a line; whatever is larger is another file.
pub(super) const LARGEST_FILE: u64 = 64 << 10;
/// How much of a path is shown.
const SHOWN_BYTES: usize = 400;
/// Permissions of everybody on the machine to read or write.
const EVERYBODY: u32 = 0o006;

/// A secret that is set.
#[derive(Debug, Clone)]
pub struct FoundSecret {
    /// Its text, trimmed.
    pub text: Secret,
    /// Where it comes from.
    pub source: SettingSource,
    /// The file, and where its path comes from, if it is the one of `NAME_FILE`.
    pub(super) file: Option<(PathBuf, SettingSource)>,
    /// What is not as it should be with its file.
    pub(super) warning: Option<String>,
}

/// Why a secret that is set can't be used. Quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}")]
pub struct SecretError {
    /// The variable to be changed.
    pub(super) variable: &'static str,
    /// The path that it holds, if it holds one.
    pub(super) path: Option<String>,
    /// What is wrong, and what helps.
    pub(super) message: String,
}

impl Environment {
    /// The secrets that it has, wherever they come from; one that can't be read is left out. For whoever has to look for
    /// them where they must not be.
    pub fn secrets(&self) -> Vec<Secret> {
        let found = SECRETS.into_iter().filter_map(|names| self.secret(names).ok().flatten());
        // One that is given twice is none, and is there all the same.
        let given = SECRETS.into_iter().filter_map(|names| self.get(names.name));
        let given = given.map(|(text, _)| Secret::new(text.trim()));
        found.map(|found| found.text).chain(given).chain(self.proxy_passwords()).collect()
    }

    /// What stands for a password in the addresses of proxies.
    fn proxy_passwords(&self) -> Vec<Secret> {
        let of_files = PROXIES.into_iter().filter_map(|names| self.secret(names).ok().flatten());
        let of_files = of_files.filter_map(|found| password(found.text.expose()));
        let both = PROXIES.into_iter().flat_map(|names| [names.name.to_owned(), names.name.to_lowercase()]);
        both.filter_map(|name| password(self.get(&name)?.0)).chain(of_files).collect()
    }

    /// A secret, from wherever it is given; none if it is not set.
    ///
    /// # Errors
    /// When it is given twice, or its file can't be used.
    ///
    /// ```
    /// use posemesh_node_core::config::{ADMIN_TOKEN, Environment};
    ///
    /// let environment = Environment::from_iter([("ADMIN_TOKEN", "a"), ("ADMIN_TOKEN_FILE", "/run/token")]);
    /// let error = environment.secret(ADMIN_TOKEN).unwrap_err().to_string();
    /// assert!(error.starts_with("ADMIN_TOKEN_FILE: ADMIN_TOKEN is set as well"), "{error}");
    /// ```
    pub fn secret(&self, secret: SecretName) -> Result<Option<FoundSecret>, SecretError> {
        let SecretName { name, file } = secret;
        let fail = |variable, path: Option<&Path>, message| SecretError {
            variable,
            path: path.map(|path| one_line(path.display(), SHOWN_BYTES)),
            message,
        };
        let value = self.get(name);
        let path = self.get(file).map(|(path, source)| (PathBuf::from(path), source));
        let credential = self.credential(name);
        match (value, path, credential) {
            (Some(_), Some((path, _)), _) => {
                let message =
                    format!("{name} is set as well; the two are mutually exclusive, unset one of them");
                Err(fail(file, Some(&path), message))
            }
            (Some(_), None, Some(credential)) => {
                let message =
                    format!("it is set, and the credential {name} of systemd is there too; use one of them");
                Err(fail(name, Some(&credential), message))
            }
            (None, Some((path, _)), Some(_)) => {
                let message =
                    format!("it is set, and the credential {name} of systemd is there too; use one of them");
                Err(fail(file, Some(&path), message))
            }
            (Some((text, source)), None, None) => {
                Ok(Some(FoundSecret { text: Secret::new(text), source, file: None, warning: None }))
            }
            (None, Some((path, source)), None) => {
                let (text, warning) = read_file(&path).map_err(|message| fail(file, Some(&path), message))?;
                let warning = warning.map(|warning| format!("{file}={}: {warning}", path.display()));
                let file = Some((path, source));
                Ok(Some(FoundSecret { text, source: SettingSource::File, file, warning }))
            }
            (None, None, Some(path)) => {
                let (text, _) = read_file(&path).map_err(|what| {
                    fail(name, Some(&path), format!("the credential of systemd can't be used: {what}"))
                })?;
                Ok(Some(FoundSecret { text, source: SettingSource::Credential, file: None, warning: None }))
            }
            (None, None, None) => Ok(None),
        }
    }

    /// The files that secrets lie in, as they are set.
    pub(super) fn secret_files(&self) -> impl Iterator<Item = PathBuf> {
        SECRETS.into_iter().chain(PROXIES).flat_map(|secret| {
            let file = self.get(secret.file).map(|(path, _)| PathBuf::from(path));
            file.into_iter().chain(self.credential(secret.name))
        })
    }

    /// The file of a credential, if there is one.
    fn credential(&self, name: &str) -> Option<PathBuf> {
        let (dir, _) = self.get(CREDENTIALS_DIRECTORY)?;
        let path = Path::new(dir).join(name);
        // Whatever lies there is meant, though it may not be readable: only what is missing is not given.
        (Path::new(dir).is_absolute() && path.symlink_metadata().is_ok()).then_some(path)
    }
}

/// The password in the address of a proxy.
fn password(address: &str) -> Option<Secret> {
    let (user, _) = address.split_once("://").map_or(address, |(_, rest)| rest).rsplit_once('@')?;
    Some(Secret::new(user.split_once(':')?.1))
}

/// The one line in a file, and what others could do with it.
fn read_file(path: &Path) -> Result<(Secret, Option<String>), String> {
    let cure = "it takes a regular file that the node may read";
    let words = |error: io::Error| format!("reading the file: {error}; {cure}");
    let file = open_regular(path).map_err(words)?;
    let mode = file.metadata().map_err(words)?.permissions().mode();
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(format!(
            "the file has more than {LARGEST_FILE} bytes; it takes one with the secret alone"
        ));
    }
    let text = str::from_utf8(&bytes).map_err(|_| "the file is not UTF-8 text".to_owned())?.trim();
    if text.is_empty() {
        return Err("the file is empty; it takes one with the secret in it".to_owned());
    }
    if text.contains(char::is_control) {
        return Err(
            "the file has several lines or control characters; it takes one line with the secret".to_owned()
        );
    }
    // A warning only: secrets of containers are commonly mounted readable by everybody in the container.
    let warning = (mode & EVERYBODY != 0).then(|| {
        format!(
            "every user of this machine may read or write the file (mode {:03o}); `chmod o-rw` it",
            mode & 0o777
        )
    });
    Ok((Secret::new(text), warning))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::fs::{Permissions, set_permissions};

    use super::*;
    use crate::config::secret_name::{ADMIN_TOKEN, PRIVATE_KEY, REG_SECRET};

    fn environment(variables: &[(&str, &Path)]) -> Environment {
        variables.iter().map(|(name, path)| (*name, path.display().to_string())).collect()
    }

    fn in_file(content: &[u8], mode: u32) -> Result<FoundSecret, SecretError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        environment(&[("ADMIN_TOKEN_FILE", &path)]).secret(ADMIN_TOKEN).map(Option::unwrap)
    }

    #[test]
    fn a_secret_is_read_from_its_file_without_the_line_end() {
        for content in [&b"hunter2"[..], b"hunter2\n", b"hunter2\r\n"] {
            let found = in_file(content, 0o600).unwrap();
            assert_eq!((found.text.expose(), found.source), ("hunter2", SettingSource::File));
            assert_eq!(found.warning, None);
        }
        assert_eq!(in_file(b"a b\n", 0o640).unwrap().text.expose(), "a b", "what is within stays");
        let warning = in_file(b"hunter2", 0o644).unwrap().warning.unwrap();
        assert!(warning.contains("mode 644") && warning.contains("chmod o-rw"), "{warning}");
        assert!(!warning.contains("hunter2"), "{warning}");
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused_in_words() {
        for (content, want) in [
            (&b""[..], "empty"),
            (b"\n", "empty"),
            (b"hunter2\nmore\n", "several lines"),
            (b"hunter2\0", "control characters"),
            (b"hunter2\xff", "not UTF-8"),
            (&vec![b'x'; 65_537], "more than 65536 bytes"),
        ] {
            let error = in_file(content, 0o600).unwrap_err();
            assert_eq!(error.variable, "ADMIN_TOKEN_FILE");
            assert!(error.message.contains(want), "{want:?} is not in {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_path_that_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for (path, want) in [
            (dir.path(), "a folder"),
            (&fifo, "a FIFO"),
            (Path::new("/dev/zero"), "a device"),
            (&dir.path().join("missing"), "No such file"),
        ] {
            let error = environment(&[("REG_SECRET_FILE", path)]).secret(REG_SECRET).unwrap_err();
            assert!(error.message.contains(want) && error.message.contains("regular file"), "{error}");
        }
    }

    #[test]
    fn a_credential_of_systemd_is_found_by_the_name_of_its_setting() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("REG_SECRET"), "hunter2\n").unwrap();
        let environment = environment(&[("CREDENTIALS_DIRECTORY", dir.path())]);
        let found = environment.secret(REG_SECRET).unwrap().unwrap();
        assert_eq!((found.text.expose(), found.source), ("hunter2", SettingSource::Credential));
        assert!(environment.secret(PRIVATE_KEY).unwrap().is_none(), "no such credential");
    }

    #[test]
    fn a_secret_that_is_given_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "hunter2").unwrap();
        std::fs::write(dir.path().join("REG_SECRET"), "hunter3").unwrap();
        let value = Path::new("hunter4");
        for given in [
            &[("REG_SECRET", value), ("REG_SECRET_FILE", &file)][..],
            &[("REG_SECRET", value), ("CREDENTIALS_DIRECTORY", dir.path())],
            &[("REG_SECRET_FILE", &file), ("CREDENTIALS_DIRECTORY", dir.path())],
        ] {
            let error = environment(given).secret(REG_SECRET).unwrap_err().to_string();
            assert!(!error.contains("hunter"), "{error}");
            assert!(error.contains("unset one of them") || error.contains("use one of them"), "{error}");
        }
    }

    #[test]
    fn no_policy_of_a_runner_grants_a_secret_or_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.toml");
        for SecretName { name, file } in SECRETS.into_iter().chain(PROXIES) {
            let small = name.to_lowercase();
            for name in [name, file, &small] {
                std::fs::write(&path, format!("environment = [\"{name}\"]")).unwrap();
                let error = posemesh_plugin_host::manifest::Policy::read(&path).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains("secret"), "{error}");
            }
        }
    }
}
