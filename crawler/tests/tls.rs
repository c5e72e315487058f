//! Certificates: those of one's own authority, and those that nobody checks.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use common::tool::{text, tool};
use common::within_a_minute;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use selvedge_crawl::{BuildError, Crawler};

/// Where the authority's certificate is. It signed that of `localhost` and 127.0.0.1, for a hundred years.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/authority.pem");

/// Serves a page with a dead link over TLS for as long as the test program runs.
fn site() -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            // A client that does not believe the certificate hangs up.
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                let (status, body) = match head.starts_with(b"GET / ") {
                    true => ("200 OK", "<a href=/lost>"),
                    false => ("404 Not Found", ""),
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nConnection: close\r\n");
                let _ = stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
    address
}

#[test]
fn an_authority_of_ones_own_is_believed_when_it_is_given_and_not_otherwise() {
    within_a_minute(|| {
        let url = format!("https://{}/", site());
        let without = tool(&[&url, "--retries", "0", "--quiet"]);
        let told = text(&without.stdout);
        assert!(without.status.code() == Some(1) && told.contains("TLS"), "{told}");
        let with = tool(&[&url, "--ca", AUTHORITY, "--quiet"]);
        let told = text(&with.stdout);
        assert!(with.status.code() == Some(1) && told.contains("/lost") && !told.contains("TLS"), "{told}");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (file, hint) in [("/nonexistent/x", "cannot be read"), (manifest, "PEM")] {
            let bad = tool(&[&url, "--ca", file]);
            assert!(
                bad.status.code() == Some(2) && text(&bad.stderr).contains(hint),
                "{}",
                text(&bad.stderr)
            );
        }
    });
}

#[test]
fn every_report_of_an_insecure_crawl_says_so() {
    within_a_minute(|| {
        let url = format!("https://{}/", site());
        for format in ["text", "json", "html", "markdown", "github", "junit", "sarif", "csv"] {
            let output = tool(&[&url, "--insecure", "--format", format, "--quiet"]);
            assert_eq!(output.status.code(), Some(1), "{format}: {}", text(&output.stderr));
            let (report, errors) = (text(&output.stdout), text(&output.stderr));
            assert!(report.contains("/lost"), "{format}: {report}");
            // A table has no place for it.
            let told = if format == "csv" { errors } else { report };
            assert!(told.contains("INSECURE"), "{format}: {told}");
        }
    });
}

#[test]
fn what_is_no_certificate_or_no_proxy_is_refused_by_the_builder() {
    let built = |pem: &str| Crawler::builder().ca(pem).build().err();
    assert_eq!(built("nothing"), Some(BuildError::BadCertificate));
    assert_eq!(Crawler::builder().proxy(Some("no:proxy:at:all")).build().err(), Some(BuildError::BadProxy));
    assert!(Crawler::builder().proxy(None).build().is_ok());
}
