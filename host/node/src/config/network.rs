//! Proxies, and the certificates that TLS trusts.

use std::path::Path;
use std::sync::Arc;

use posemesh_net::network::Network;
use posemesh_net::proxy::{Proxies, ProxyUrl};
use posemesh_net::roots::{CURE, RootsError, TrustRoots};
use posemesh_net::secret::Secret;
use posemesh_net::url::is_loopback;
use url::Url;

use super::reader::{ReadSecret, SettingsReader};
use super::secret_name::{ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, SecretName};
use super::variable::{Group, ValueType, Variable};

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Network {
    let http = read_proxy(
        reader,
        HTTP_PROXY,
        "http_proxy",
        "The proxy for requests by `http` to DDS, DMS and domain servers. Requests to this machine never go through a \
         proxy, and runners' own requests use none. Only a password in it is secret.",
    );
    let https =
        read_proxy(reader, HTTPS_PROXY, "https_proxy", "The proxy for requests by `https`, as `HTTP_PROXY`.");
    let all = read_proxy(
        reader,
        ALL_PROXY,
        "all_proxy",
        "The proxy for requests for which neither of the two is set.",
    );
    let no_proxy = read_no_proxy(reader);
    let proxies = Proxies::new(http.or_else(|| all.clone()), https.or(all), &no_proxy);
    Network { proxies: Arc::new(proxies), roots: read_roots(reader).map(Arc::new) }
}

/// The first of the two names that is set counts, as for curl and others; the upper one may be given as a secret is.
fn read_proxy(
    reader: &mut SettingsReader<'_>,
    names: SecretName,
    lower: &'static str,
    meaning: &'static str,
) -> Option<ProxyUrl> {
    const ALLOWED: &str = "http(s)://[USER:PASSWORD@]HOST[:PORT]";
    // Its value is shown without its credentials, but not as a problem: there it may be anything.
    let [upper, lower] = spellings([names.name, lower], meaning).map(Variable::secret);
    let given = reader.secret(names, &upper, ALLOWED);
    reader.declare(&lower, "none", ALLOWED);
    let (variable, text, source) = match given {
        ReadSecret::Set(text, source) => (upper, text, source),
        // Said already.
        ReadSecret::Unusable => return None,
        ReadSecret::Unset => {
            let (text, source) = reader.raw(lower.name)?;
            (lower, Secret::new(text), source)
        }
    };
    match text.expose().parse::<ProxyUrl>() {
        Ok(proxy) => {
            reader.setting(&variable, &proxy, source);
            reader.mark_secret(variable.name, text.expose());
            Some(proxy)
        }
        Err(why) => {
            reader.problem(&variable, Some(text.expose()), format!("{why}; allowed: {ALLOWED}"));
            None
        }
    }
}

fn read_no_proxy(reader: &mut SettingsReader<'_>) -> String {
    const MEANING: &str = "Hosts that are called without a proxy: names, which stand for all names below them too, \
                           addresses, networks such as 10.0.0.0/8, or `*`, between commas.";
    let mut found = None;
    for variable in spellings(["NO_PROXY", "no_proxy"], MEANING) {
        let variable = variable.of_type(ValueType::List(','));
        reader.declare(&variable, "none", "a list with commas");
        if let Some((text, source)) = reader.raw(variable.name).filter(|_| found.is_none()) {
            reader.setting(&variable, text, source);
            found = Some(text.to_owned());
        }
    }
    found.unwrap_or_default()
}

fn spellings([upper, lower]: [&'static str; 2], meaning: &'static str) -> [Variable; 2] {
    let same = format!("As `{upper}`, which counts if both are set.");
    [Variable::new(Group::Servers, upper, meaning), Variable::new(Group::Servers, lower, same)]
}

/// The certificates that the variables name; none for the system's.
fn read_roots(reader: &mut SettingsReader<'_>) -> Option<TrustRoots> {
    let file = Variable::new(
        Group::Servers,
        "SSL_CERT_FILE",
        "A PEM file with the certificates of all CAs that `https` trusts, in place of the system's (the package \
         `ca-certificates`).",
    )
    .default_in_words("the system's");
    let folders = Variable::new(
        Group::Servers,
        "SSL_CERT_DIR",
        "Folders with such files, with `:` between them; their certificates count beside those of `SSL_CERT_FILE`.",
    )
    .default_in_words("the system's")
    .of_type(ValueType::List(':'));
    reader.declare(&file, "none", "a path of a PEM file");
    reader.declare(&folders, "none", "paths of folders");
    let of_file = read_certificates(reader, &file, |text| TrustRoots::of_file(Path::new(text)));
    let of_folders = read_certificates(reader, &folders, |text| {
        let all = std::env::split_paths(text).filter(|path| !path.as_os_str().is_empty());
        all.map(|path| TrustRoots::of_folder(&path))
            .try_fold(TrustRoots::default(), |all, more| Ok(all.and(more?)))
    });
    match (of_file, of_folders) {
        (Some(file), Some(folders)) => Some(file.and(folders)),
        (file, folders) => file.or(folders),
    }
}

fn read_certificates(
    reader: &mut SettingsReader<'_>,
    variable: &Variable,
    read: impl FnOnce(&str) -> Result<TrustRoots, RootsError>,
) -> Option<TrustRoots> {
    let (text, source) = reader.raw(variable.name)?;
    match read(text) {
        Ok(roots) => {
            reader.setting(variable, text, source);
            Some(roots)
        }
        Err(error) => {
            let message =
                format!("{error}; name certificates that can be read, or unset it for the system's");
            reader.problem(variable, Some(text), message);
            None
        }
    }
}

/// How servers are reached, a line each, for people.
pub(super) fn describe(network: &Network, dms: &Url, dds: &Url) -> Vec<String> {
    let route = |url: &Url| match network.proxies.for_url(url) {
        Some(proxy) => format!("through the proxy {proxy}"),
        None if is_loopback(url) => "directly: it is this machine".to_owned(),
        None => "directly".to_owned(),
    };
    let mut lines = vec![format!("DMS {dms}: {}", route(dms)), format!("DDS {dds}: {}", route(dds))];
    for (scheme, of_scheme) in [("https", network.proxies.https()), ("http", network.proxies.http())] {
        lines.push(match of_scheme {
            Some(proxy) => format!(
                "domain servers by {scheme}: through the proxy {proxy}, except this machine and what NO_PROXY names"
            ),
            None => format!("domain servers by {scheme}: directly"),
        });
    }
    lines.push(match network.trusted().len() {
        0 => format!("certificates of CAs: none, so that https will fail: {CURE}"),
        count => format!("certificates of CAs: {count}"),
    });
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::config::{Config, Environment};

    const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    fn environment(more: &[(&str, &str)]) -> Environment {
        let wallet = [("PLUGINS_DIR", "/p"), ("HOME", "/h"), ("REG_SECRET", "s"), ("SECP256K1_PRIVHEX", KEY)];
        wallet.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn a_proxy_with_a_password_comes_from_a_file_or_a_credential_as_other_secrets_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("HTTPS_PROXY");
        std::fs::write(&path, "http://me:hunter3@proxy.example:3128\n").unwrap();
        let (file, folder) = (path.display().to_string(), dir.path().display().to_string());
        for given in [("HTTPS_PROXY_FILE", &*file), ("CREDENTIALS_DIRECTORY", &*folder)] {
            let environment = environment(&[given, ("https_proxy", "http://other.example")]);
            let config = Config::load(&environment).unwrap();
            let shown = config.network.proxies.https().map(ToString::to_string);
            assert_eq!(shown.as_deref(), Some("http://[redacted]@proxy.example:3128"), "{given:?}");
            let secrets = environment.secrets();
            assert!(secrets.iter().any(|secret| secret.expose() == "hunter3"), "{given:?}");
        }
        let twice = environment(&[("HTTPS_PROXY_FILE", &file), ("HTTPS_PROXY", "http://other.example")]);
        let problems = Config::load(&twice).unwrap_err().to_string();
        assert!(problems.contains("HTTPS_PROXY is set as well"), "{problems}");
        std::fs::write(&path, "socks5://me:hunter3@proxy.example").unwrap();
        let problems = Config::load(&environment(&[("HTTPS_PROXY_FILE", &file)])).unwrap_err().to_string();
        assert!(problems.contains("HTTPS_PROXY") && !problems.contains("hunter3"), "{problems}");
    }
}
