//! Connections that are kept open (RFC 9112 section 9), and secrets on secure ones, which take more than a
//! row.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};

use selvedge_crawl::{Crawler, Fetch, FetchError, Request, Response};

use crate::common::server::{Asked, Server, next, page};
use crate::common::tool::{text, tool};
use crate::common::within_a_minute;

/// A server that answers as many requests on a connection as `answer` allows.
fn keeping(
    answer: impl Fn(usize, &Asked, &mut TcpStream) -> std::io::Result<bool> + Send + Sync + 'static,
) -> Server {
    let serve = move |asked: &Asked, stream: &mut TcpStream| {
        let (mut count, mut asked) = (0, Some(asked.clone()));
        while let Some(request) = asked {
            if !answer(count, &request, stream)? {
                return Ok(());
            }
            count += 1;
            asked = next(stream)?;
        }
        Ok(())
    };
    Server::open(IpAddr::V4(Ipv4Addr::LOCALHOST), serve).unwrap()
}

fn kept(stream: &mut TcpStream, status: &str, html: &str) -> std::io::Result<bool> {
    let length = html.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + html).as_bytes()).map(|()| true)
}

#[track_caller]
fn assert_alive(server: &Server, flags: &[&str]) {
    let url = server.url("/");
    let output = tool(&[&[&*url, "--timeout", "5", "--per-host", "1"], flags].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains("Uncertain"), "{}", text(&output.stdout));
}

#[test]
fn a_body_after_head_spoils_no_later_answer() {
    within_a_minute(|| {
        let links: String = (0..20).map(|n| format!("<img src=/{n}>")).collect();
        let server = keeping(move |_, asked, stream| match asked.path.as_str() {
            "/" => kept(stream, "200 OK", &links),
            "/robots.txt" => kept(stream, "404 -", ""),
            // With its body, which the method forbids.
            _ => kept(stream, "200 OK", "HTTP/1.1 404 -\r\nContent-Length: 0\r\n\r\n"),
        });
        assert_alive(&server, &["--assets"]);
    });
}

#[test]
fn a_connection_that_the_server_closes_unasked_is_made_again() {
    within_a_minute(|| {
        let links: String = (0..40).map(|n| format!("<a href=/{n}>")).collect();
        let server = keeping(move |count, asked, stream| {
            match asked.path.as_str() {
                "/" => kept(stream, "200 OK", &links)?,
                "/robots.txt" => kept(stream, "404 -", "")?,
                _ => kept(stream, "200 OK", "<p>")?,
            };
            // It says nothing of that.
            Ok(count % 3 != 2)
        });
        assert_alive(&server, &[]);
    });
}

#[test]
fn an_answer_that_is_not_read_to_its_end_spoils_no_later_one() {
    within_a_minute(|| {
        let links: String = (0..20).map(|n| format!("<a href=/{n}>")).collect();
        let server = keeping(move |_, asked, stream| match asked.path.as_str() {
            "/" => kept(stream, "200 OK", &links),
            "/robots.txt" => kept(stream, "404 -", ""),
            _ => {
                let body = "<a href=/lost>".repeat(2_000);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).map(|()| true)
            }
        });
        assert_alive(&server, &[]);
    });
}

#[test]
fn a_request_has_the_headers_that_servers_want_and_no_other_secret_of_the_connection() {
    within_a_minute(|| {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let notes = Arc::clone(&heads);
        let server = keeping(move |_, asked, stream| {
            notes.lock().unwrap().push(asked.head.to_ascii_lowercase());
            page(stream, "<p>").map(|()| false)
        });
        tool(&[&server.url("/")]);
        let heads = heads.lock().unwrap();
        let host = server.url("").replace("http://", "\r\nhost: ");
        for head in heads.iter() {
            assert!(head.contains(&host) && head.contains("\r\nuser-agent: selvedge-crawl/"), "{head}");
            assert!(head.contains("\r\naccept-encoding: gzip, deflate\r\n"), "{head}");
            for name in ["referer", "cookie", "authorization", "from"] {
                assert!(!head.contains(&format!("\r\n{name}:")), "{head}");
            }
            assert_eq!(head.matches("\r\nhost:").count(), 1, "{head}");
        }
        assert_eq!(heads.len(), 2);
    });
}

/// Answers with what is planned, and notes what each URL was told.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<(String, String)>>>);

impl Fetch for Noting {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        let told = format!("{:?}", request.headers);
        self.0.lock().unwrap().push((request.url.to_string(), told));
        Ok(match request.url.as_str() {
            "https://me:S3CRET@a.test/" | "https://a.test/" => Response::html(
                "<a href=http://a.test/plain></a><a href=/next></a><a href=https://a.test:8443/port></a>\
                 <a href=https://a.test.:443/dot></a>",
            )
            .header("Set-Cookie", "sid=S3CRET; Secure"),
            "http://a.test/plain" => Response::redirect(302, "https://a.test/end"),
            url if url.ends_with("robots.txt") => Response::status(404),
            _ => Response::html("<p>"),
        })
    }
}

#[test]
fn a_secret_of_a_secure_origin_is_told_to_no_other_scheme_or_port() {
    within_a_minute(|| {
        for start in ["https://me:S3CRET@a.test/", "https://a.test/"] {
            let fetch = Noting::default();
            let crawler = Crawler::builder().fetch(fetch.clone()).header("X-Key", "S3CRET").workers(1);
            let report = crawler.build().unwrap().run(start).unwrap();
            assert!(report.dead_links().is_empty(), "{}", report.to_text(true));
            let told = fetch.0.lock().unwrap();
            for (url, headers) in told.iter() {
                let is_ours = url.starts_with("https://a.test/");
                assert_eq!(headers.contains("X-Key"), is_ours, "{url}: {headers}");
                assert!(is_ours || !headers.contains("S3CRET"), "{url}: {headers}");
                let is_later = is_ours && !url.ends_with("robots.txt") && url != "https://a.test/";
                assert_eq!(headers.contains("sid=S3CRET"), is_later, "{url}: {headers}");
                assert_eq!(headers.contains("Basic"), is_ours && start.contains('@'), "{url}: {headers}");
            }
            assert!(told.iter().any(|(url, _)| url == "https://a.test/end"));
            assert!(told.iter().any(|(url, _)| url == "https://a.test/dot"));
            let mut json = Vec::new();
            report.write_json(&mut json).unwrap();
            assert!(!text(&json).contains("S3CRET"));
        }
    });
}

#[test]
fn a_server_that_sends_forever_before_its_answer_is_given_up() {
    within_a_minute(|| {
        let server = keeping(|_, asked, stream| {
            if asked.path == "/robots.txt" {
                return kept(stream, "404 -", "");
            }
            let mut hung_up = [0];
            stream.set_nonblocking(true)?;
            while stream.read(&mut hung_up).is_err() {
                match stream.write(b"HTTP/1.1 103 -\r\nLink: </x>; rel=preload\r\n\r\n") {
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error),
                    _ => std::thread::yield_now(),
                }
            }
            Ok(false)
        });
        let output = tool(&[&server.url("/"), "--timeout", "1", "--retries", "0"]);
        assert!(matches!(output.status.code(), Some(1 | 5)), "{}", text(&output.stdout));
    });
}
