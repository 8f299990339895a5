//! What the secrets among the settings are called.

/// The name of a secret setting, and of the variable with a file that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretName {
    /// The variable with the secret itself; also the name of its credential.
    pub name: &'static str,
    /// The variable with the path of a file.
    pub file: &'static str,
}

macro_rules! secret_name {
    ($name:literal) => {
        SecretName { name: $name, file: concat!($name, "_FILE") }
    };
}

/// The registration secret of a wallet.
pub(super) const REG_SECRET: SecretName = secret_name!("REG_SECRET");
/// The private key of a wallet.
pub const PRIVATE_KEY: SecretName = secret_name!("SECP256K1_PRIVHEX");
/// The registration credentials of a robot.
pub(super) const ROBOT_CREDENTIALS: SecretName = secret_name!("ROBOT_REGISTRATION_CREDENTIALS");
/// The bearer of admin calls.
pub const ADMIN_TOKEN: SecretName = secret_name!("ADMIN_TOKEN");

/// The bearer of calls from other machines that read.
pub const STATUS_TOKEN: SecretName = secret_name!("STATUS_TOKEN");

/// The headers of requests to the collector of traces.
pub(super) const OTLP_HEADERS: SecretName = secret_name!("OTEL_EXPORTER_OTLP_HEADERS");

/// The proxies: an address with a password in it, or with none.
pub(super) const HTTP_PROXY: SecretName = secret_name!("HTTP_PROXY");
pub(super) const HTTPS_PROXY: SecretName = secret_name!("HTTPS_PROXY");
pub(super) const ALL_PROXY: SecretName = secret_name!("ALL_PROXY");

/// Those that may hold a secret. Other programs read these variables as well, and what is no secret of them is shown.
pub(super) const PROXIES: [SecretName; 3] = [HTTP_PROXY, HTTPS_PROXY, ALL_PROXY];

/// All that are secret whatever they hold.
pub(super) const SECRETS: [SecretName; 6] =
    [REG_SECRET, PRIVATE_KEY, ROBOT_CREDENTIALS, ADMIN_TOKEN, STATUS_TOKEN, OTLP_HEADERS];
