//! The two ways into a domain that the client has: its functions, which take a server and a token, and
//! `DomainClient`, which signs in and asks for both.

use std::env;

use anyhow::{Context, Result};
use futures::channel::mpsc::Receiver;
use posemesh_domain_http::config::Config;
use posemesh_domain_http::domain_client::DomainClient;
use posemesh_domain_http::domain_data::{
    DomainData, DomainDataMetadata, DownloadQuery, UploadDomainData, UploadInfoV1, delete_by_id,
    download_by_id, download_metadata_v1, download_v1_stream, get_upload_info_v1, upload_v1,
    upload_v1_stream,
};
use posemesh_domain_http::errors::DomainError;

/// A domain and the way into it.
pub struct Access {
    domain: String,
    way: Way,
}

enum Way {
    /// A token that somebody else has got.
    Token { server: String, client_id: String, token: String },
    /// Signed in as an app.
    SignedIn(Box<DomainClient>),
}

type Answer<T> = Result<T, DomainError>;

impl Access {
    /// `DOMAIN_ID` and `CLIENT_ID`, and either `DOMAIN_SERVER_URL` with `DOMAIN_ACCESS_TOKEN`, or what the
    /// client's own configuration reads: `API_URL`, `DDS_URL`, `APP_KEY` and `APP_SECRET`.
    pub async fn from_env() -> Result<Self> {
        let read = |name: &str| env::var(name).with_context(|| format!("read {name}"));
        let domain = read("DOMAIN_ID")?;
        if let Ok(token) = env::var("DOMAIN_ACCESS_TOKEN") {
            let way = Way::Token { server: read("DOMAIN_SERVER_URL")?, client_id: read("CLIENT_ID")?, token };
            return Ok(Self { domain, way });
        }
        let config = Config::from_env().context("read API_URL, DDS_URL and CLIENT_ID")?;
        let key = config.app_key.context("APP_KEY is not set")?;
        let secret = config.app_secret.context("APP_SECRET is not set")?;
        let client = DomainClient::new_with_app_credential(
            &config.api_url,
            &config.dds_url,
            &config.client_id,
            &key,
            &secret,
        )
        .await?;
        Ok(Self { domain, way: Way::SignedIn(Box::new(client)) })
    }

    pub async fn list(&self, query: &DownloadQuery) -> Answer<Vec<DomainDataMetadata>> {
        match &self.way {
            Way::Token { server, client_id, token } => {
                download_metadata_v1(server, client_id, token, &self.domain, query).await
            }
            Way::SignedIn(client) => client.download_metadata(&self.domain, query).await,
        }
    }

    pub async fn download(&self, query: &DownloadQuery) -> Answer<Receiver<Answer<DomainData>>> {
        match &self.way {
            Way::Token { server, client_id, token } => {
                download_v1_stream(server, client_id, token, &self.domain, query).await
            }
            Way::SignedIn(client) => client.download_domain_data_stream(&self.domain, query).await,
        }
    }

    pub async fn download_one(&self, id: &str) -> Answer<Vec<u8>> {
        match &self.way {
            Way::Token { server, client_id, token } => {
                download_by_id(server, client_id, token, &self.domain, id).await
            }
            Way::SignedIn(client) => client.download_domain_data_by_id(&self.domain, id).await,
        }
    }

    pub async fn upload(&self, items: Vec<UploadDomainData>) -> Answer<Vec<DomainDataMetadata>> {
        match &self.way {
            Way::Token { server, token, .. } => upload_v1(server, token, &self.domain, items).await,
            Way::SignedIn(client) => client.upload_domain_data(&self.domain, items).await,
        }
    }

    pub async fn upload_stream(&self, items: Receiver<UploadDomainData>) -> Answer<Vec<DomainDataMetadata>> {
        match &self.way {
            Way::Token { server, token, .. } => upload_v1_stream(server, token, &self.domain, items).await,
            Way::SignedIn(client) => client.upload_domain_data_stream(&self.domain, items).await,
        }
    }

    pub async fn delete(&self, id: &str) -> Answer<()> {
        match &self.way {
            Way::Token { server, token, .. } => delete_by_id(server, token, &self.domain, id).await,
            Way::SignedIn(client) => client.delete_domain_data_by_id(&self.domain, id).await,
        }
    }

    /// What the server says of uploads, if it says anything; `DomainClient` keeps it to itself.
    pub async fn info(&self) -> Result<Option<UploadInfoV1>> {
        match &self.way {
            Way::Token { server, .. } => Ok(get_upload_info_v1(server).await),
            Way::SignedIn(_) => anyhow::bail!("set DOMAIN_SERVER_URL and DOMAIN_ACCESS_TOKEN for this"),
        }
    }
}
