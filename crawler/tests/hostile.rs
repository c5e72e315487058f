//! The crawler against servers that mean harm or know no better, over real connections. Each has a stated
//! result.

mod common;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::server::{Asked, Server, next, page, reply};
use common::within_a_minute;
use flate2::Compression;
use flate2::write::GzEncoder;
use selvedge::CancelToken;
use selvedge_crawl::{
    Builder, Crawler, ErrorKind, Outcome, Problem, Record, Report, Resolution, Skip, State,
};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Long enough for a page that answers at once on a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(5);
const CAP: u64 = 100_000;
const HTML: &str = "Content-Type: text/html\r\n";

fn serve(answer: impl Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Server {
    Server::open(LOCAL, answer).unwrap()
}

fn builder() -> Builder {
    Crawler::builder().timeout(TIMEOUT).retries(0).body_cap(CAP).workers(16).per_host(16)
}

fn run(builder: Builder, server: &Server, path: &str) -> Report {
    builder.build().unwrap().run(&server.url(path)).unwrap()
}

fn record<'a>(report: &'a Report, server: &Server, path: &str) -> &'a Record {
    let id = report.find(&server.url(path)).unwrap_or_else(|| panic!("{path} was not found"));
    report.page(id).record.as_ref().unwrap_or_else(|| panic!("{path} was not asked for"))
}

/// Waits until the client goes away: as long as a silent server would be silent.
fn hold(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

/// A body that grows a thousandfold when it is unpacked.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = [b'0'; 1 << 16];
    for _ in 0..512 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// What each path does, and what must come of it.
fn hostile(asked: &Asked, stream: &mut TcpStream) -> io::Result<()> {
    let chunked = |stream: &mut TcpStream| {
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\n").as_bytes())
    };
    match asked.path.as_str() {
        "/" => page(stream, &HOSTILE.map(|(path, _)| format!("<a href={path}>{path}</a>")).concat()),
        "/silent" => hold(stream),
        "/slow-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")?;
            hold(stream)
        }
        "/slow-body" => {
            chunked(stream)?;
            stream.write_all(b"5\r\n<p>ab\r\n")?;
            hold(stream)
        }
        "/endless" => {
            chunked(stream)?;
            loop {
                stream.write_all(b"10\r\n<a href=endless>\r\n")?;
            }
        }
        "/huge" => {
            stream.write_all(
                format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: 99999999999\r\n\r\n").as_bytes(),
            )?;
            hold(stream)
        }
        "/bomb" => reply(stream, "200 OK", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &bomb()),
        "/no-gzip" => {
            reply(stream, "200 OK", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", b"<p>not packed")
        }
        "/closed" => Ok(()),
        "/cut" => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: 500\r\n\r\n<p>").as_bytes())
        }
        "/garbage" => stream.write_all(b"\x16\x03\x01 these are not the bytes\r\n\r\n"),
        "/headers" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"X-More: and more and more and more\r\n")?;
            }
        }
        "/999" => reply(stream, "999 -", "", b""),
        "/204" => stream.write_all(b"HTTP/1.1 204 -\r\nConnection: close\r\n\r\n"),
        "/teapot" => reply(stream, "418 I'm a teapot", HTML, b"<a href=/not-read>"),
        "/no-type" => reply(stream, "200 OK", "", b"<a href=/found>"),
        "/found" => page(stream, ""),
        "/latin" => {
            reply(stream, "200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"<a href='/caf\xE9'>\xFF")
        }
        "/unheard" => {
            reply(stream, "200 OK", "Content-Type: text/html; charset=loom\r\n", b"<a href='/found'>")
        }
        "/utf16" => {
            let text: Vec<u8> = "\u{feff}<a href=/found>".encode_utf16().flat_map(u16::to_le_bytes).collect();
            reply(stream, "200 OK", HTML, &text)
        }
        "/round" => reply(stream, "302 -", "Location: /round\r\n", b""),
        "/bad-location" => reply(stream, "302 -", "Location: http://[\r\n", b""),
        "/raw-location" => {
            // With `close`: else the client keeps the connection, and may lose another page on it.
            stream.write_all(
                b"HTTP/1.1 302 -\r\nLocation: /caf\xE9\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            )
        }
        "/cookie" if asked.head.to_ascii_lowercase().contains("\r\ncookie:") => page(stream, ""),
        "/cookie" => reply(stream, "302 -", "Set-Cookie: a=b\r\nLocation: /cookie\r\n", b""),
        path if path.starts_with("/long") => reply(stream, "414 -", "", b""),
        _ => reply(stream, "404 -", "", b""),
    }
}

const HOSTILE: [(&str, Outcome); 23] = [
    ("/silent", Outcome::Failed(ErrorKind::TimedOut)),
    ("/slow-head", Outcome::Failed(ErrorKind::TimedOut)),
    ("/slow-body", Outcome::Failed(ErrorKind::TimedOut)),
    ("/endless", Outcome::TooLarge),
    ("/huge", Outcome::TooLarge),
    ("/bomb", Outcome::TooLarge),
    ("/no-gzip", Outcome::Failed(ErrorKind::NotUnderstood)),
    ("/closed", Outcome::Failed(ErrorKind::ConnectionLost)),
    ("/cut", Outcome::Failed(ErrorKind::ConnectionLost)),
    ("/garbage", Outcome::Failed(ErrorKind::NotUnderstood)),
    ("/headers", Outcome::Failed(ErrorKind::NotUnderstood)),
    ("/999", Outcome::Refused),
    ("/204", Outcome::Page),
    ("/teapot", Outcome::Refused),
    ("/no-type", Outcome::Page),
    ("/latin", Outcome::Page),
    ("/unheard", Outcome::Page),
    ("/utf16", Outcome::Page),
    ("/round", Outcome::Redirect),
    ("/bad-location", Outcome::Failed(ErrorKind::RedirectToNowhere)),
    ("/raw-location", Outcome::Redirect),
    ("/cookie", Outcome::Page),
    ("/lost", Outcome::Refused),
];

#[test]
fn every_hostile_page_has_its_stated_result() {
    within_a_minute(|| {
        let server = serve(hostile);
        let report = run(builder(), &server, "/");
        let wrong: Vec<_> = HOSTILE
            .iter()
            .filter(|(path, stated)| record(&report, &server, path).outcome != *stated)
            .map(|(path, stated)| format!("{path} is {:?}, not {stated:?}", record(&report, &server, path)))
            .collect();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(report.is_whole());
        // Found in what could be read, and only there.
        assert_eq!(record(&report, &server, "/found").outcome, Outcome::Page);
        assert!(report.find(&server.url("/not-read")).is_none());
        // What is not in the page's encoding is replaced, and so is what is not ASCII in a header.
        assert!(report.find(&server.url("/caf%EF%BF%BD")).is_some());
        // A page that sets a cookie and leads back to itself is asked once more, with it.
        let cookie = report.find(&server.url("/cookie")).unwrap();
        assert_eq!(report.resolution(cookie), (Vec::new(), Resolution::Alive));
        let round = report.find(&server.url("/round")).unwrap();
        assert_eq!(report.resolution(round).1, Resolution::Dead(Problem::Loop));
        // The packed page was never unpacked beyond the cap.
        assert_eq!(record(&report, &server, "/bomb").bytes, CAP);
        assert_eq!(record(&report, &server, "/huge").bytes, 99_999_999_999);
    });
}

#[test]
fn an_endless_calendar_ends_at_the_depth_at_the_pages_or_at_the_urls() {
    within_a_minute(|| {
        let calendar = |asked: &Asked, stream: &mut TcpStream| match asked
            .path
            .rsplit('=')
            .next()
            .unwrap()
            .parse::<u64>()
        {
            Ok(day) => page(stream, &format!("<a href='?day={}'> <a href='?day={}'>", 2 * day, 2 * day + 1)),
            Err(_) if asked.path == "/robots.txt" => reply(stream, "404 -", "", b""),
            Err(_) => page(stream, "<a href='?day=1'>"),
        };
        let server = serve(calendar);
        let report = run(builder().depth(5), &server, "/");
        assert_eq!((report.fetched(), report.in_state(State::TooFar).count()), (1 + 31 - 16 + 16, 32));
        let report = run(builder().pages(40), &server, "/");
        assert_eq!((report.fetched(), report.is_whole()), (40, false));
        let report = run(builder().urls(40), &server, "/");
        assert_eq!((report.fetched(), report.pages().len(), report.is_whole()), (40, 40, false));
        assert!(report.partial().unwrap().contains("URLs"));
    });
}

#[test]
fn redirects_without_end_end() {
    within_a_minute(|| {
        let server = serve(|asked, stream| match asked.path[1..].parse::<u32>() {
            Ok(n) => reply(stream, "302 -", &format!("Location: /{}\r\n", n + 1), b""),
            Err(_) => reply(stream, "404 -", "", b""),
        });
        let report = run(builder(), &server, "/0");
        assert_eq!(
            (report.resolution(0).1, report.fetched()),
            (Resolution::Dead(Problem::TooManyRedirects), 21)
        );
    });
}

#[test]
fn broken_html_and_links_that_are_none_are_read_as_a_browser_reads_them() {
    within_a_minute(|| {
        let html = "<html><<a href=/1><table><a href='/2'</table><!-- <a href=/3> --><script>\"<a href=/4>\"\
            </script><a href=/5 href=/6><A HREF=\"/7\"\"><a href='javascript:void(0)'><a href=mailto:a@b.test>\
            <a href='http://['><a href='data:text/html,<a href=/8>'><a href=/9";
        let server = serve(move |asked, stream| match asked.path.as_str() {
            "/" => page(stream, html),
            "/robots.txt" => reply(stream, "404 -", "", b""),
            _ => page(stream, ""),
        });
        let report = run(builder(), &server, "/");
        let found: Vec<_> =
            (1..=9).filter(|n| report.find(&server.url(&format!("/{n}"))).is_some()).collect();
        assert_eq!(found, [1, 2, 5, 7]);
        let not_http: Vec<_> = report.not_http().map(|url| url.split(':').next().unwrap()).collect();
        assert_eq!(not_http, ["data", "javascript", "mailto"]);
        assert_eq!(report.broken().collect::<Vec<_>>(), [(0, "http://[")]);
        let dead = report.dead_links();
        assert_eq!((dead.len(), &dead[0].problem), (1, &Problem::NotAUrl));
    });
}

#[test]
fn a_host_whose_robots_txt_fails_has_a_stated_result_for_each_failure() {
    within_a_minute(|| {
        type Answer = fn(&mut TcpStream) -> io::Result<()>;
        let large = |stream: &mut TcpStream| {
            reply(stream, "200 OK", "Content-Type: text/plain\r\n", &vec![b'#'; 600 << 10])
        };
        let cases: [(&str, Answer, State); 7] = [
            ("a server's trouble", |s| reply(s, "500 -", "", b""), State::Skipped(Skip::RobotsUnreadable)),
            ("too many requests", |s| reply(s, "429 -", "", b""), State::Skipped(Skip::RobotsUnreadable)),
            ("too large", large, State::Fetched),
            ("forbidden", |s| reply(s, "403 -", "", b""), State::Fetched),
            ("a page instead", |s| page(s, "<p>User-agent: *"), State::Fetched),
            ("bytes", |s| reply(s, "200 OK", "", b"\xFF\xFE\x00User-agent"), State::Fetched),
            ("a loop", |s| reply(s, "302 -", "Location: /robots.txt\r\n", b""), State::Fetched),
        ];
        for (what, answer, state) in cases {
            let server = serve(move |asked, stream| match asked.path.as_str() {
                "/robots.txt" => answer(stream),
                _ => page(stream, ""),
            });
            assert_eq!(run(builder(), &server, "/").page(0).state, state, "{what}");
        }
        // Where nobody answers, the pages fail as it did, and are not asked for.
        let pages = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&pages);
        let server = serve(move |asked, _| {
            counts.fetch_add(usize::from(asked.path != "/robots.txt"), SeqCst);
            Ok(())
        });
        let report = run(builder(), &server, "/");
        assert_eq!(report.page(0).outcome(), Some(Outcome::Failed(ErrorKind::ConnectionLost)));
        assert_eq!(pages.load(SeqCst), 0);
    });
}

#[test]
fn connections_that_break_are_made_again_and_then_reported() {
    within_a_minute(|| {
        // A count for each page: they are asked for in any order.
        let (passes, later) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let server = serve(move |asked, stream| match asked.path.as_str() {
            "/robots.txt" => reply(stream, "404 -", "", b""),
            "/" => page(stream, "<a href=passes> <a href=stays> <a href=later>"),
            "/passes" if passes.fetch_add(1, SeqCst) == 0 => Ok(()),
            "/later" if later.fetch_add(1, SeqCst) == 0 => reply(stream, "429 -", "Retry-After: 0\r\n", b""),
            "/passes" | "/later" => page(stream, ""),
            _ => Ok(()),
        });
        let back_off = builder().retries(2).back_off(Duration::from_millis(1), Duration::from_millis(1));
        let report = run(back_off, &server, "/");
        let told =
            |path: &str| (record(&report, &server, path).outcome, record(&report, &server, path).retries);
        assert_eq!(told("/passes"), (Outcome::Page, 1));
        assert_eq!(told("/later"), (Outcome::Page, 1));
        assert_eq!(told("/stays"), (Outcome::Failed(ErrorKind::ConnectionLost), 2));
    });
}

#[test]
fn nobody_at_the_port_is_a_refused_connection_and_no_such_name_is_said_so() {
    within_a_minute(|| {
        // Nobody listens on port 1.
        let report = builder().build().unwrap().run("http://127.0.0.1:1/").unwrap();
        assert_eq!(report.page(0).outcome(), Some(Outcome::Failed(ErrorKind::ConnectionRefused)));
        // No secure connection where plain HTTP is spoken.
        let server = serve(|_, stream| page(stream, ""));
        let url = server.url("/").replace("http://", "https://");
        let report = builder().timeout(Duration::from_millis(500)).build().unwrap().run(&url).unwrap();
        assert!(matches!(report.page(0).outcome(), Some(Outcome::Failed(_))), "{:?}", report.page(0));
    });
}

#[test]
fn a_host_that_is_an_ipv6_address_is_crawled_like_any_other() {
    within_a_minute(|| {
        let answer = |asked: &Asked, stream: &mut TcpStream| match asked.path.as_str() {
            "/" => page(stream, "<a href=/a>"),
            "/a" => page(stream, ""),
            _ => reply(stream, "404 -", "", b""),
        };
        let Ok(server) = Server::open(IpAddr::V6(Ipv6Addr::LOCALHOST), answer) else {
            // A machine without IPv6 has nothing to try this on.
            return;
        };
        let report = run(builder(), &server, "/");
        assert!(server.url("/").starts_with("http://[::1]:"));
        assert_eq!((report.fetched(), report.dead_links().len()), (2, 0));
    });
}

#[test]
fn a_crawl_that_is_cancelled_while_a_body_trickles_in_ends_at_once() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let stop = token.clone();
        let server = serve(move |asked, stream| match asked.path.as_str() {
            "/robots.txt" => reply(stream, "404 -", "", b""),
            _ => {
                stream.write_all(
                    format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: 1000000\r\n\r\n").as_bytes(),
                )?;
                stop.cancel_because("enough");
                loop {
                    stream.write_all(b"<p>and more")?;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let crawler =
            builder().timeout(Duration::from_secs(50)).grace(TIMEOUT).body_cap(1 << 30).build().unwrap();
        let report = crawler.run_until(&server.url("/"), &token).unwrap();
        assert_eq!((report.cut_off(), report.page(0).state), (0, State::Waiting));
    });
}

#[test]
fn a_connection_is_kept_open_from_page_to_page_and_every_request_says_who_asks() {
    within_a_minute(|| {
        let connections = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&connections);
        let server = serve(move |first, stream| {
            counts.fetch_add(1, SeqCst);
            let mut asked = Some(first.clone());
            while let Some(Asked { path, head, .. }) = asked {
                assert!(head.to_ascii_lowercase().contains("\r\nuser-agent: weaver/1\r\n"), "{head}");
                let number: usize = path[1..].parse().unwrap_or(100);
                let body = if number < 20 { format!("<a href=/{}>", number + 1) } else { String::new() };
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: {length}\r\n\r\n");
                stream.write_all((head + &body).as_bytes())?;
                asked = next(stream)?;
            }
            Ok(())
        });
        let report = run(builder().user_agent("weaver/1").workers(1), &server, "/0");
        assert_eq!((report.fetched(), report.dead_count()), (21, 0));
        // One for all, or one for robots.txt and one for the pages, if the first answer was not read to its
        // end.
        assert!(connections.load(SeqCst) <= 2, "{connections:?} connections");
    });
}
