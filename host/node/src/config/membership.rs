//! How the node registers, what it signs, and when its token is renewed.

use std::time::Duration;

use url::Url;

use super::reader::SettingsReader;
use super::servers;
use super::variable::{Group, ValueType, Variable};
use crate::auth::siwe::{SigningSettings, SiweFormat};
use crate::auth::token::TokenSettings;
use crate::registration::RegistrationSettings;
use crate::registration::version::CRATE_VERSION;

/// The shortest interval that counts.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn read_version(reader: &mut SettingsReader<'_>) -> String {
    reader.printable_ascii(
        &Variable::new(
            Group::Identity,
            "NODE_VERSION",
            "The version that DDS is informed of. A wallet's must be semver (a leading `v` is dropped); if it is \
             not, the version of the program is used.",
        )
        .section("1.6")
        .default_in_words("the version of the program"),
        CRATE_VERSION.to_owned(),
    )
}

pub(super) fn read_token(reader: &mut SettingsReader<'_>) -> TokenSettings {
    let default = TokenSettings::default();
    TokenSettings {
        safety_ratio: reader.ratio(
            &Variable::new(
                Group::Tokens,
                "TOKEN_SAFETY_RATIO",
                "The part of a machine token's lifetime after which it is renewed.",
            )
            .section("2"),
            default.safety_ratio,
        ),
        max_retries: reader.integer(
            &Variable::new(
                Group::Tokens,
                "TOKEN_REAUTH_MAX_RETRIES",
                "How many failed logins a request waits through before it fails for want of a token. Logins go on \
                 in any case.",
            )
            .section("2"),
            default.max_retries,
            0..=u32::MAX,
        ),
        jitter: reader.millis(
            &Variable::new(
                Group::Tokens,
                "TOKEN_REAUTH_JITTER_MS",
                "How far the renewal is spread around its moment, and the base of the wait after a failed login, \
                 in milliseconds.",
            )
            .section("2"),
            default.jitter,
            0..=60_000,
        ),
    }
}

pub(super) fn read_registration(reader: &mut SettingsReader<'_>) -> RegistrationSettings {
    const RETRIES: &str = "-1 or a non-negative integer";
    let default = RegistrationSettings::default();
    let interval = reader.seconds(
        &Variable::new(
            Group::Registration,
            "REGISTER_INTERVAL_SECS",
            "The wait before a wallet registers again after a conflict or a refusal, in seconds; 0 counts as 1.",
        )
        .section("1.5"),
        default.interval,
        0..=86_400,
    );
    let max_retry = reader.value(
        &Variable::new(
            Group::Registration,
            "REGISTER_MAX_RETRY",
            "Consecutive failures of the network or of DDS after which the node waits for \
             `REGISTER_INTERVAL_SECS` and starts over; -1 for no limit.",
        )
        .section("1.6")
        .of_type(ValueType::Integer),
        default.max_retry.map_or(-1, i64::from),
        RETRIES,
        |text| {
            let value: i32 = text
                .parse()
                .map_err(|_| format!("invalid integer in REGISTER_MAX_RETRY; must be {RETRIES}"))?;
            if value >= -1 { Ok(value.into()) } else { Err(format!("must be {RETRIES}")) }
        },
    );
    RegistrationSettings {
        interval: interval.max(SHORTEST_INTERVAL),
        max_retry: u32::try_from(max_retry).ok(),
    }
}

pub(super) fn read_signing(reader: &mut SettingsReader<'_>) -> SigningSettings {
    const CHAINS: &str = "whole numbers above 0";
    let default = SigningSettings::default();
    let format = reader.choice(
        &Variable::new(
            Group::Registration,
            "SIWE_FORMAT",
            "The layout of the text that a wallet signs: `compact` is what DDS expects today, `eip4361` the \
             layout of the standard.",
        )
        .section("1.3"),
        default.format,
        &[("compact", SiweFormat::Compact), ("eip4361", SiweFormat::Eip4361)],
    );
    let chain_id = reader.optional(
        &Variable::new(
            Group::Registration,
            "SIWE_CHAIN_ID",
            "The one EIP-155 chain that a wallet signs for.",
        )
        .section("1.2")
        .of_type(ValueType::Integer),
        "any",
        CHAINS,
        |text| match text.parse() {
            Ok(id) if id > 0_u64 => Ok(id),
            _ => Err(format!("invalid integer in SIWE_CHAIN_ID; allowed: {CHAINS}")),
        },
    );
    let domain = reader.optional(
        &Variable::new(
            Group::Registration,
            "SIWE_DOMAIN",
            "The name that DDS has for itself in the text that a wallet signs, if the node reaches DDS by another one \
             (a tunnel, an internal address). Nothing that names another domain is signed.",
        )
        .section("1.2")
        .default_in_words("that of `SIWE_URI`, or of `DDS_BASE_URL`"),
        "that of SIWE_URI, or of DDS_BASE_URL",
        DOMAINS,
        check_domain,
    );
    let uri = reader.optional(
        &Variable::new(
            Group::Registration,
            "SIWE_URI",
            "The base URL that DDS has for itself in the text that a wallet signs, if the node reaches DDS by another \
             one. Nothing that names another URI is signed.",
        )
        .section("1.2")
        .default_in_words("`https://` and `SIWE_DOMAIN`, or `DDS_BASE_URL`"),
        "that of SIWE_DOMAIN, or DDS_BASE_URL",
        servers::OWN_URL,
        |text| servers::read_own_url("SIWE_URI", text),
    );
    SigningSettings { format, chain_id: chain_id.or(default.chain_id), domain, uri }
}

const DOMAINS: &str = "HOST or HOST:PORT";

fn check_domain(text: &str) -> Result<String, String> {
    // By way of a URL, whose parser knows what a host and a port are; whatever else a URL has would be seen then.
    let plain = !text.contains(['/', '?', '#', '@', '\\']);
    match Url::parse(&format!("https://{text}")) {
        Ok(url) if plain && url.has_host() => Ok(text.to_owned()),
        _ => Err(format!("not a host with an optional port; allowed: {DOMAINS}, without https:// before it")),
    }
}
