//! Whom a TLS connection trusts: the CA certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, otherwise those of the
//! system. They are read here, and not by the HTTP client, which makes no client at all on a machine without any, not
//! even one for plain HTTP, and which knows nothing of a `.env` file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{CertificateResult, load_certs_from_paths};

/// What an operator does when no certificate, or not the right one, is trusted.
pub const CURE: &str = "name a PEM file with the CA's certificate in SSL_CERT_FILE, or a folder of such files in \
                        SSL_CERT_DIR, or install the system's (the package `ca-certificates`)";

/// Bytes of the largest file of certificates; that of a system has a few hundred KiB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The certificates that are trusted.
#[derive(Debug, Clone, Default)]
pub struct TrustRoots(Vec<Certificate>);

/// Why the certificates of a file or folder can't be used. Names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct RootsError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl TrustRoots {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// When it can't be read, or holds no certificate.
    pub fn of_file(path: &Path) -> Result<Self, RootsError> {
        let failed = |reason: String| RootsError { path: path.to_owned(), reason };
        let metadata = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
        // Opening a pipe would wait for somebody who writes to it.
        if !metadata.is_file() {
            return Err(failed("not a regular file".to_owned()));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(failed(format!(
                "larger than {MAX_FILE_BYTES} bytes, which no file of certificates is"
            )));
        }
        Self::usable(load_certs_from_paths(Some(path), None)).map_err(failed)
    }

    /// The certificates of all PEM files of a folder.
    ///
    /// # Errors
    /// When it can't be read, or holds no certificate.
    pub fn of_folder(path: &Path) -> Result<Self, RootsError> {
        let failed = |reason: String| RootsError { path: path.to_owned(), reason };
        fs::read_dir(path).map_err(|error| failed(error.to_string()))?;
        Self::usable(load_certs_from_paths(None, Some(path))).map_err(failed)
    }

    /// The certificates that the system keeps where systems keep them; none if there are none. Read once.
    pub fn of_system() -> Self {
        static SYSTEM: OnceLock<TrustRoots> = OnceLock::new();
        let load = || {
            // Not `probe`, which would look at the environment again.
            let folders = openssl_probe::candidate_cert_dirs();
            let bundle = ["ca-certificates.crt", "ca-bundle.crt", "ca-bundle.pem", "cert.pem"];
            let files = [
                "/etc/ssl/certs",
                "/etc/pki/tls/certs",
                "/etc/ssl",
                "/etc/pki/tls",
                "/var/lib/ca-certificates",
            ]
            .into_iter()
            .flat_map(|folder| bundle.map(|name| Path::new(folder).join(name)))
            .filter_map(|file| Self::of_file(&file).ok());
            // A bundle holds what the folder holds, in one file rather than in hundreds.
            let folders = folders.filter_map(|folder| Self::of_folder(folder).ok());
            files.chain(folders).next().unwrap_or_default()
        };
        SYSTEM.get_or_init(load).clone()
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// How many certificates there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is trusted, so that every `https` request fails.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn certificates(&self) -> impl Iterator<Item = Certificate> + '_ {
        self.0.iter().cloned()
    }

    fn usable(read: CertificateResult) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        // One that can't be parsed would keep the client from being made; the others are still of use.
        let mut is_usable =
            |certificate: &CertificateDer<'_>| store.add(certificate.clone().into_owned()).is_ok();
        let usable: Vec<_> = read.certs.into_iter().filter(|certificate| is_usable(certificate)).collect();
        let certificates =
            usable.iter().filter_map(|der| Certificate::from_der(der).ok()).collect::<Vec<_>>();
        match (certificates.is_empty(), read.errors.first()) {
            (false, _) => Ok(Self(certificates)),
            (true, Some(error)) => Err(format!("no certificate can be read from it: {error}")),
            (true, None) => Err("there is no certificate in it in PEM form (BEGIN CERTIFICATE)".to_owned()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_certificates_that_is_of_no_use_is_told_with_its_name_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        let not_one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (path, reason) in [
            (dir.path().join("none.pem"), "No such file"),
            (dir.path().to_owned(), "not a regular file"),
            (file("empty.pem", ""), "no certificate"),
            (file("text.pem", "hello"), "no certificate"),
            (file("broken.pem", broken), "no certificate can be read"),
            (file("other.pem", not_one), "no certificate"),
        ] {
            let error = TrustRoots::of_file(&path).unwrap_err().to_string();
            assert!(error.starts_with(path.to_str().unwrap()) && error.contains(reason), "{error}");
        }
        assert!(TrustRoots::of_folder(&dir.path().join("none")).is_err());
        let error = TrustRoots::of_folder(dir.path()).unwrap_err().to_string();
        assert!(error.contains("no certificate"), "{error}");
    }
}
