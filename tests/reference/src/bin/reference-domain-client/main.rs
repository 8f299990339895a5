//! One call of the published domain client, `posemesh-domain-http`, as a program.
//!
//! The end-to-end suites let it read and write our devnet and compare bytes. It says what came of the
//! call as JSON on stdout: `{"ok": …}`, or `{"refused": {"status", "error"}}` when a server answered with
//! another status than the client wants. Anything else is an error on stderr and a failure of the
//! program. No token is printed.
//!
//! ```text
//! reference-domain-client list [FILTER]...            metadata
//! reference-domain-client download FOLDER [FILTER]... each part into FOLDER/ID, as it arrives; metadata
//! reference-domain-client download-one ID FILE        the bytes of one item
//! reference-domain-client upload ITEM...              all in one call; the metadata that the server tells
//! reference-domain-client upload-stream ITEM...       the same, one after the other through a channel
//! reference-domain-client delete ID
//! reference-domain-client info                        what the server says of uploads
//!
//! FILTER: --id ID (may be repeated), --name NAME, --data-type TYPE
//! ITEM:   create NAME TYPE FILE, or update ID FILE
//! ```

mod access;
mod arguments;

use std::env;
use std::path::Path;

use access::Access;
use anyhow::{Context, Result, bail};
use arguments::Arguments;
use futures::{SinkExt, StreamExt, channel::mpsc};
use posemesh_domain_http::domain_data::{DownloadQuery, UploadDomainData};
use posemesh_domain_http::errors::DomainError;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let outcome = match run(Arguments::new(env::args().skip(1))).await {
        Ok(value) => json!({"ok": value}),
        Err(error) => match error.downcast_ref() {
            Some(DomainError::AukiErrorResponse(answer)) => {
                json!({"refused": {"status": answer.status.as_u16(), "error": answer.error}})
            }
            _ => return Err(error),
        },
    };
    println!("{outcome}");
    Ok(())
}

async fn run(mut arguments: Arguments) -> Result<Value> {
    let command = arguments.next("a command")?;
    let access = Access::from_env().await?;
    match command.as_str() {
        "list" => {
            let items = access.list(&arguments.query()?).await?;
            Ok(serde_json::to_value(items)?)
        }
        "download" => {
            let folder = arguments.next("a folder")?;
            download(&access, Path::new(&folder), &arguments.query()?).await
        }
        "download-one" => {
            let (id, file) = (arguments.next("an id")?, arguments.next("a file")?);
            arguments.end()?;
            let bytes = access.download_one(&id).await?;
            tokio::fs::write(&file, &bytes).await.with_context(|| format!("write {file}"))?;
            Ok(json!({"bytes": bytes.len()}))
        }
        "upload" => {
            let made = access.upload(arguments.items().await?).await?;
            Ok(serde_json::to_value(made)?)
        }
        "upload-stream" => upload_stream(&access, arguments.items().await?).await,
        "delete" => {
            let id = arguments.next("an id")?;
            arguments.end()?;
            access.delete(&id).await?;
            Ok(Value::Null)
        }
        "info" => {
            arguments.end()?;
            let info = access.info().await?;
            Ok(info.map_or(Value::Null, |info| {
                json!({
                    "request_max_bytes": info.request_max_bytes,
                    "multipart_enabled": info.multipart_enabled,
                })
            }))
        }
        other => bail!("unknown command {other:?}"),
    }
}

async fn download(access: &Access, folder: &Path, query: &DownloadQuery) -> Result<Value> {
    let mut parts = access.download(query).await?;
    let mut arrived = Vec::new();
    while let Some(part) = parts.next().await {
        let part = part?;
        let file = folder.join(&part.metadata.id);
        tokio::fs::write(&file, &part.data).await.with_context(|| format!("write {}", file.display()))?;
        arrived.push(part.metadata);
    }
    Ok(serde_json::to_value(arrived)?)
}

async fn upload_stream(access: &Access, items: Vec<UploadDomainData>) -> Result<Value> {
    let (mut to, from) = mpsc::channel(1);
    let feed = async move {
        for item in items {
            // The client hangs up when it gives up, and says itself why.
            if to.send(item).await.is_err() {
                break;
            }
        }
    };
    let (made, ()) = futures::join!(access.upload_stream(from), feed);
    Ok(serde_json::to_value(made?)?)
}
