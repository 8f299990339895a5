//! How the node deals with domain servers.

use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use crate::auth::identity::Identity;
use posemesh_domain_client::{DomainSettings, RequestSettings, UploadSettings};

pub(super) fn read_client_id(reader: &mut SettingsReader<'_>, identity: Option<&Identity>) -> String {
    reader.printable_ascii(
        &Variable::new(
            Group::Identity,
            "CLIENT_ID",
            "The client that domain servers see in all requests of this node (`posemesh-client-id`); they charge \
             by it.",
        )
        .section("6")
        .default_in_words("derived from the wallet's address; a robot's is new at each start"),
        identity.map(Identity::client_id).unwrap_or_default(),
    )
}

/// Without an identity there is no client id to read yet, and no node that would use these settings.
pub(super) fn read(
    reader: &mut SettingsReader<'_>,
    client_id: String,
    allow_plain_http: bool,
) -> DomainSettings {
    let default = DomainSettings::default();
    let upload_parallelism = reader.integer(
        &Variable::new(
            Group::DomainServers,
            "UPLOAD_PARALLELISM",
            "How many parts of upload sessions a task sends at the same time.",
        )
        .section("6.9"),
        default.uploads.parallelism,
        1..=32,
    );
    let connect_timeout = reader.seconds(
        &Variable::new(
            Group::DomainServers,
            "STORAGE_CONNECT_TIMEOUT_SECS",
            "Time for a connection to a domain server to be established, in seconds.",
        )
        .section("6"),
        default.requests.connect_timeout,
        1..=600,
    );
    let first_byte_timeout = reader.seconds(
        &Variable::new(
            Group::DomainServers,
            "STORAGE_FIRST_BYTE_TIMEOUT_SECS",
            "Time from the end of a request to the head of its answer, in seconds.",
        )
        .section("6"),
        default.requests.first_byte_timeout,
        1..=3600,
    );
    let idle_timeout = reader.seconds(
        &Variable::new(
            Group::DomainServers,
            "STORAGE_IDLE_TIMEOUT_SECS",
            "How long a transfer may make no progress, in seconds, before it is resumed or repeated.",
        )
        .section("6"),
        default.requests.idle_timeout,
        1..=3600,
    );
    DomainSettings {
        client_id,
        allow_plain_http,
        requests: RequestSettings { connect_timeout, first_byte_timeout, idle_timeout, ..default.requests },
        uploads: UploadSettings::with_parallelism(upload_parallelism),
        ..default
    }
}
