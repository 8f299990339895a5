//! Whom a client trusts. The certificates in `certificates/` are of a CA that exists for this test only, valid for a
//! hundred years; the key is of the server of this test.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::Arc;

use posemesh_net::http::{CertificateFault, cause, certificate_fault, client_builder};
use posemesh_net::network::Network;
use posemesh_net::proxy::Proxies;
use posemesh_net::roots::TrustRoots;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::plain_server::PlainServer;

#[path = "support/plain_server.rs"]
mod plain_server;

fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

/// A server on loopback that answers every request by TLS; its port.
async fn tls_server() -> u16 {
    let chain = vec![CertificateDer::from_pem_file(certificate("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the server ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn trusting(roots: TrustRoots) {
    Network { proxies: Arc::new(Proxies::default()), roots: Some(Arc::new(roots)) }.install();
}

#[tokio::test]
async fn without_a_ca_plain_http_works_and_https_fails_with_the_cure() {
    let plain = PlainServer::start(204).await;
    let port = tls_server().await;
    let https = format!("https://localhost:{port}/");

    // A machine without certificates, in one process with what follows: the settings are the process's.
    trusting(TrustRoots::default());
    let client = client_builder().build().expect("a client without any certificate");
    assert_eq!(client.get(format!("http://{}/", plain.addr)).send().await.unwrap().status(), 204);
    assert_eq!(plain.heads.lock().unwrap().len(), 1);
    let error = client.get(&https).send().await.unwrap_err();
    assert_eq!(certificate_fault(&error), Some(CertificateFault::UnknownIssuer));
    let text = cause(&error);
    assert!(text.contains("SSL_CERT_FILE") && text.contains("SSL_CERT_DIR"), "{text}");

    trusting(TrustRoots::of_file(&certificate("ca.pem")).unwrap());
    let client = client_builder().build().unwrap();
    assert_eq!(client.get(&https).send().await.unwrap().status(), 204, "the CA is trusted now");
    let error = client.get(format!("https://127.0.0.2:{port}/")).send().await.unwrap_err();
    assert_eq!(certificate_fault(&error), Some(CertificateFault::Other), "{}", cause(&error));

    trusting(TrustRoots::of_folder(&certificate("")).unwrap());
    let client = client_builder().build().unwrap();
    assert_eq!(client.get(&https).send().await.unwrap().status(), 204, "a folder of certificates");
}
