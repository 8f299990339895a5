//! Secrets leave the environment: what a process was started with stands in `/proc/PID/environ` for as long as it lives,
//! and whoever may read the process's memory reads it there by name.
//!
//! The block of variables can't be overwritten without `unsafe`. So a process that has secrets in its environment starts
//! its own program again in its own place (`exec`: the process, its arguments and its descriptors stay), without these
//! variables. They are handed over as standard input, in a file in memory that is emptied as soon as it is read.

use std::ffi::OsString;
use std::sync::OnceLock;

use zeroize::Zeroizing;

/// Says that standard input is the file with what was taken out of the environment.
#[cfg(target_os = "linux")]
const MARK: &str = "POSEMESH_NODE_HANDED_OVER";

/// What was handed over to this process.
static HANDED_OVER: OnceLock<Vec<(OsString, Zeroizing<Vec<u8>>)>> = OnceLock::new();

/// Why secrets stay in the environment of this process.
#[derive(Debug, thiserror::Error)]
#[error(
    "the secrets stay in this process's environment, where its user and root can read them (/proc/PID/environ): {what}; \
     give them as files (REG_SECRET_FILE and so on)"
)]
pub struct HandoverError {
    what: String,
}

/// The variables that were taken out of the environment of this process.
pub(super) fn handed_over() -> impl Iterator<Item = (OsString, Zeroizing<Vec<u8>>)> {
    HANDED_OVER.get().into_iter().flatten().cloned()
}

/// Takes the secrets out of this process's environment, if there are any: starts the program again without them, and
/// does not return then. [`environment`](fn@super::environment) has them in the process that takes over.
///
/// To be called first of all: what has been done before is done again, and the program's standard input is used up.
///
/// # Errors
/// When it does not work. Nothing has changed then.
pub fn hide_secrets() -> Result<(), HandoverError> {
    #[cfg(target_os = "linux")]
    return linux::hide_secrets().map_err(|what| HandoverError { what });
    // There is no such file elsewhere.
    #[cfg(not(target_os = "linux"))]
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create};
    use zeroize::Zeroizing;

    use super::super::secret_name::SECRETS;
    use super::{HANDED_OVER, MARK};

    /// This very program, whatever lies at its path by now.
    const OWN_PROGRAM: &str = "/proc/self/exe";
    /// The most that is read. An environment has at most as much.
    const MAX_BYTES: u64 = 4 << 20;
    /// What the file is sealed with: nobody else makes such a one by accident.
    const SEALS: SealFlags = SealFlags::GROW.union(SealFlags::SEAL);

    pub(super) fn hide_secrets() -> Result<(), String> {
        if std::env::var_os(MARK).is_some() {
            return take_over();
        }
        let secrets: Vec<(OsString, OsString)> = std::env::vars_os().filter(is_secret).collect();
        if secrets.is_empty() { Ok(()) } else { hand_over(&secrets) }
    }

    /// Whether a variable has what others may not know: a secret of ours, or a proxy with a password.
    fn is_secret((name, value): &(OsString, OsString)) -> bool {
        let proxy =
            || name.as_bytes().to_ascii_uppercase().ends_with(b"_PROXY") && value.as_bytes().contains(&b'@');
        SECRETS.iter().any(|secret| name == secret.name) || proxy()
    }

    /// Does not return if it works.
    fn hand_over(secrets: &[(OsString, OsString)]) -> Result<(), String> {
        let words = |error: std::io::Error| format!("handing them over in memory: {error}");
        let memory = memfd_create("environment", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        let mut file = File::from(memory.map_err(|error| words(error.into()))?);
        for (name, value) in secrets {
            let entry = [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat();
            file.write_all(&Zeroizing::new(entry)).map_err(words)?;
        }
        file.rewind().map_err(words)?;
        fcntl_add_seals(&file, SEALS).map_err(|error| words(error.into()))?;
        let mut arguments = std::env::args_os();
        let mut command = Command::new(own_program());
        command.arg0(arguments.next().unwrap_or_default()).args(arguments);
        for (name, _) in secrets {
            command.env_remove(name);
        }
        let error = command.env(MARK, "1").stdin(Stdio::from(file)).exec();
        Err(format!("starting the program again: {error}"))
    }

    /// The path of the program, so that lists of processes show its name; if something else lies there by now, the way
    /// that leads to it all the same.
    fn own_program() -> PathBuf {
        let by_path = std::env::current_exe().ok().filter(|path| {
            let [here, own] = [path.as_path(), OWN_PROGRAM.as_ref()].map(std::fs::metadata);
            let same = |here: std::fs::Metadata, own: std::fs::Metadata| {
                (here.dev(), here.ino()) == (own.dev(), own.ino())
            };
            here.and_then(|here| Ok(same(here, own?))).unwrap_or(false)
        });
        by_path.unwrap_or_else(|| OWN_PROGRAM.into())
    }

    /// Reads what the process that was here before has handed over, and empties the file.
    fn take_over() -> Result<(), String> {
        let input = std::io::stdin();
        if !fcntl_get_seals(input.as_fd()).is_ok_and(|seals| seals.contains(SEALS)) {
            return Err(format!("{MARK} is set by somebody else: unset it"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        let read = input.lock().take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| format!("reading what was handed over: {error}"))?;
        // Nobody can read it again: not by the descriptor, nor from a child's.
        ftruncate(input.as_fd(), 0).map_err(|error| format!("emptying what was handed over: {error}"))?;
        let entries = bytes.split(|byte| *byte == 0).filter_map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=')?;
            let (name, value) = entry.split_at_checked(at)?;
            Some((OsStr::from_bytes(name).to_owned(), Zeroizing::new(value.get(1..)?.to_vec())))
        });
        let _ = HANDED_OVER.set(entries.collect());
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn secrets_and_proxies_with_passwords_are_taken_out_of_the_environment() {
            let is = |name: &str, value: &str| is_secret(&(name.into(), value.into()));
            assert!(is("REG_SECRET", "hunter2") && is("ADMIN_TOKEN", "") && is("SECP256K1_PRIVHEX", "x"));
            assert!(is("https_proxy", "http://me:hunter2@proxy:1"));
            assert!(!is("https_proxy", "http://proxy:1") && !is("REG_SECRET_FILE", "/x") && !is("PATH", "@"));
            assert!(own_program().is_absolute());
        }
    }
}
