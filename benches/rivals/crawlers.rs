//! Crawlers behind one face: crawl this site with so many workers, and say how many pages there were. And the
//! site, served from this process over the loopback address.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use selvedge_crawl::Crawler;

/// Pages of the site, numbered from 1.
pub(crate) const PAGES: u64 = 400;
/// Links on each page.
const LINKS: u64 = 10;

const PYTHON: &str = include_str!("crawler.py");

/// Serves the site until the process ends, with a thread for each connection, which is kept open.
pub(crate) fn site() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the site");
    let address = listener.local_addr().expect("the site's address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let page = path.trim_start_matches('/').parse().ok().filter(|page| (1..=PAGES).contains(page));
        let (status, body) = page.map_or(("404 Not Found", String::new()), |page| ("200 OK", html(page)));
        let length = body.len();
        let body = if first.starts_with("HEAD") { "" } else { &body };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all((head + body).as_bytes())?;
    }
}

/// A page of about 2 kB: a tree of twos, so that everything is found within few levels, and links across.
fn html(page: u64) -> String {
    let near = [2 * page, 2 * page + 1].into_iter();
    let across = (1..=LINKS - 2).map(|step| (page * 7 + step * step * 13) % PAGES + 1);
    let links = near.chain(across).filter(|to| (1..=PAGES).contains(to));
    let links: String = links.map(|to| format!("<li><a href=\"/{to}\">page {to}</a></li>\n")).collect();
    let text =
        "<p>The warp is held under tension, and the weft is passed over and under it.</p>\n".repeat(16);
    format!(
        "<!DOCTYPE html><html><head><title>{page}</title></head><body>{text}<ul>{links}</ul></body></html>"
    )
}

/// Ours.
pub(crate) fn selvedge(start: &str, workers: usize) -> u64 {
    let crawler = Crawler::builder().workers(workers).per_host(workers).build().expect("a crawler");
    crawler.run(start).expect("a crawl").fetched() as u64
}

/// wget's spider, which has one worker. It asks for each page twice, as spiders do: whether it is there, and
/// then for its links.
pub(crate) fn wget(start: &str) -> u64 {
    let arguments =
        ["--spider", "--recursive", "--level=inf", "--no-verbose", "--no-config", "--no-directories", start];
    let folder = std::env::temp_dir();
    let output = Command::new("wget").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let log = String::from_utf8_lossy(&output.expect("wget").stderr).into_owned();
    let urls = log
        .lines()
        .filter_map(|line| line.split("URL:").nth(1))
        .filter_map(|url| url.split_whitespace().next());
    urls.filter(|url| !url.ends_with("robots.txt")).collect::<HashSet<_>>().len() as u64
}

/// The crawler that people write in Python: the standard library's client, parser and thread pool.
pub(crate) fn python(start: &str, workers: usize) -> u64 {
    let output = Command::new("python3").args(["-c", PYTHON, start, &workers.to_string()]).output();
    String::from_utf8_lossy(&output.expect("python3").stdout).trim().parse().unwrap_or(0)
}

/// Whether a program is on this machine.
pub(crate) fn has(program: &str) -> bool {
    let quiet = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}
