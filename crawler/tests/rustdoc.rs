//! A real site: the documentation of both crates, served as it is, must come out without a dead link.
//!
//! ```text
//! cargo doc --no-deps --all-features -p selvedge -p selvedge-crawl
//! cargo test -p selvedge-crawl --test rustdoc -- --ignored
//! ```

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use common::server::{Asked, Server, reply};
use selvedge_crawl::{Builder, Crawler, Outcome, Problem, Report};

/// Serves a directory.
fn serve(root: PathBuf) -> Server {
    let answer = move |asked: &Asked, stream: &mut TcpStream| {
        let path = asked.path.split('?').next().unwrap_or_default().trim_start_matches('/');
        match fs::read(root.join(path)) {
            Ok(body) => {
                let body = if asked.method == "HEAD" { Vec::new() } else { body };
                reply(stream, "200 OK", &format!("Content-Type: {}\r\n", mime(path)), &body)
            }
            Err(_) => reply(stream, "404 -", "", b""),
        }
    };
    Server::open(IpAddr::V4(Ipv4Addr::LOCALHOST), answer).unwrap()
}

fn mime(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        _ => "application/octet-stream",
    }
}

fn run(builder: Builder, server: &Server) -> Report {
    builder.assets(true).build().unwrap().run(&server.url("/selvedge/index.html")).unwrap()
}

fn told(report: &Report) -> String {
    report.to_text(true)
}

#[test]
#[ignore = "needs the output of `cargo doc --no-deps --all-features -p selvedge`"]
fn the_documentation_of_this_crate_has_no_dead_links() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("doc");
    assert!(root.join("selvedge/index.html").exists(), "{} has no documentation", root.display());
    let report = run(Crawler::builder(), &serve(root));
    println!("{}", report.to_text(false));
    assert!(report.is_whole() && report.fetched() > 100, "{report:?}");
    assert!(report.dead_links().is_empty(), "{}", told(&report));
    assert!(
        report.pages().iter().any(|page| page.outcome() == Some(Outcome::Alive)),
        "no style sheet was found"
    );
}

/// The same check on a tree with a page missing, so that it is known to notice.
#[test]
fn a_tree_with_a_page_missing_has_a_dead_link() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crawl_rustdoc");
    fs::create_dir_all(root.join("selvedge")).unwrap();
    let html = "<link rel=stylesheet href=../a.css><a href=struct.There.html>there</a> <a href=struct.Gone.html#x>gone</a>";
    fs::write(root.join("selvedge/index.html"), html).unwrap();
    fs::write(root.join("selvedge/struct.There.html"), "<a href='../selvedge/index.html'>up</a>").unwrap();
    fs::write(root.join("a.css"), "").unwrap();
    let server = serve(root);
    let report = run(Crawler::builder(), &server);
    let dead = report.dead_links();
    assert_eq!((dead.len(), &dead[0].problem), (1, &Problem::Status(404)), "{}", told(&report));
    assert_eq!(dead[0].url, server.url("/selvedge/struct.Gone.html"));
    assert_eq!(report.fetched(), 4);
}
