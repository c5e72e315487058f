//! A site on two hosts that changes its mind with each request, and keeps books of what it said.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::server::{Asked, Server, reply};

/// The hosts; links lead from each to the other.
pub(crate) const HOSTS: usize = 2;
/// Pages of a host that link to each other at random. Behind the trap there is no end of more.
const PAGES: usize = 24;
/// Every piece of an answer that comes slowly.
const DRIP: Duration = Duration::from_millis(2);
/// How long a look at a connection takes that is still open.
const PEEK: Duration = Duration::from_millis(1);

/// What a site is like for the length of a crawl.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) seed: u64,
    /// Some pages lead into an endless series of pages.
    pub(crate) has_trap: bool,
    pub(crate) has_sitemap: bool,
    /// Requests that a host was promised to have at a time, at most.
    pub(crate) width: usize,
}

/// What was said in answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A page with these links, each once; perhaps slowly.
    Page(Vec<String>),
    /// A sitemap with these URLs.
    Sitemap(Vec<String>),
    /// A robots.txt that forbids paths that begin so, and may name a sitemap.
    Robots {
        forbids: Option<&'static str>,
        sitemap: Option<String>,
    },
    Status(u16),
    /// The same, and a `Retry-After` of so many seconds.
    Busy(u16, u64),
    Redirect(String),
    /// A redirect whose `Location` means nothing.
    Nowhere,
    /// Half a page, and then nothing.
    Half,
    /// Nothing at all: the connection is closed.
    Closed,
    /// Nothing at all, for as long as the client has patience.
    Silence,
}

/// What the servers know, for a crawler's report to be held against.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// For each URL what was said, in order.
    pub(crate) said: HashMap<String, Vec<Said>>,
    /// When requests came, by host.
    pub(crate) came: [Vec<Instant>; HOSTS],
    /// Promises that were broken, in words.
    pub(crate) broken: Vec<String>,
    /// Requests that have no answer yet.
    open: [HashMap<u64, TcpStream>; HOSTS],
    /// Until when a host with one request at a time has asked to be left alone.
    busy: [Option<Instant>; HOSTS],
    next: u64,
}

pub(crate) struct Site {
    servers: Vec<Server>,
    shared: Arc<Shared>,
}

struct Shared {
    habits: Habits,
    /// What the hosts' URLs begin with.
    origins: Mutex<Vec<String>>,
    books: Mutex<Books>,
}

impl Site {
    pub(crate) fn open(habits: Habits) -> Self {
        let shared = Arc::new(Shared { habits, origins: Mutex::default(), books: Mutex::default() });
        let servers: Vec<Server> = (0..HOSTS)
            .map(|host| {
                let shared = Arc::clone(&shared);
                let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + host as u8));
                Server::open(ip, move |asked, stream| shared.serve(host, asked, stream)).unwrap()
            })
            .collect();
        let origins = servers.iter().map(|server| server.url("")).collect();
        *shared.origins.lock().unwrap() = origins;
        Site { servers, shared }
    }

    /// The URL of a path on a host.
    pub(crate) fn url(&self, host: usize, path: &str) -> String {
        self.servers[host].url(path)
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.shared.books()
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, host: usize, asked: &Asked, stream: &mut TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PEEK))?;
        let url = self.url(host, &asked.path);
        let (id, said) = {
            let mut books = self.books();
            let id = books.begin(host, stream.try_clone()?, self.habits.width);
            let before = books.said.entry(url.clone()).or_default();
            let said = self.decide(&url, &asked.path, before.len());
            before.push(said.clone());
            (id, said)
        };
        // The client may make its next request as soon as it has an answer, so the request is over before
        // the last byte is sent.
        let over = || self.books().open[host].remove(&id);
        match &said {
            Said::Silence => {
                let mut nothing = [0];
                while stream.read(&mut nothing).is_err_and(|error| is_not_yet(&error)) {}
                over();
                return Ok(());
            }
            Said::Closed => {
                over();
                return Ok(());
            }
            // With one request at a time, none is on its way when the client hears of it.
            Said::Busy(_, seconds) if self.habits.width == 1 => {
                self.books().busy[host] = Some(Instant::now() + Duration::from_secs(*seconds));
            }
            // One in four comes in pieces.
            Said::Page(links) if links.len() % 4 == 0 => return drip(stream, &html(links), || drop(over())),
            _ => {}
        }
        over();
        send(stream, &said)
    }

    fn url(&self, host: usize, path: &str) -> String {
        format!("{}{path}", self.origins.lock().unwrap()[host])
    }

    /// What to say to the request for a URL that `before` others came before. The same for the same seed.
    fn decide(&self, url: &str, path: &str, before: usize) -> Said {
        let mut dice = Dice::of(&(self.habits.seed, path, url.contains("127.0.0.2"), before));
        if path == "/robots.txt" {
            return self.robots(url, &mut dice);
        }
        match dice.roll(100) {
            0..5 => Said::Status(404),
            5..7 => Said::Status(410),
            7..10 => Said::Status(500),
            10..14 => Said::Status(503),
            14..17 => Said::Busy([503, 429][dice.roll(2)], u64::from(dice.roll(8) == 0)),
            17..25 => Said::Redirect(self.some_page(&mut dice)),
            25..26 => Said::Nowhere,
            26..30 => Said::Half,
            30..33 => Said::Closed,
            33..34 => Said::Silence,
            _ if path == "/sitemap.xml" => Said::Sitemap(self.some_pages(&mut dice, 6)),
            _ => Said::Page(self.links(path, &mut dice)),
        }
    }

    fn robots(&self, url: &str, dice: &mut Dice) -> Said {
        match dice.roll(20) {
            0..9 => Said::Status(404),
            9 => Said::Status(503),
            10 => Said::Closed,
            11 => Said::Half,
            _ => {
                let forbids = [None, Some("/p/1"), Some("/p/2")][dice.roll(3)];
                let map = url.replace("/robots.txt", "/sitemap.xml");
                Said::Robots { forbids, sitemap: (dice.roll(2) == 0).then_some(map) }
            }
        }
    }

    fn links(&self, path: &str, dice: &mut Dice) -> Vec<String> {
        let count = dice.roll(8);
        let mut links = self.some_pages(dice, count);
        if self.habits.has_trap && (path.starts_with("/trap/") || dice.roll(4) == 0) {
            let step = path.strip_prefix("/trap/").and_then(|step| step.parse::<usize>().ok()).unwrap_or(0);
            links.extend((1..4).map(|more| self.url(0, &format!("/trap/{}", 3 * step + more))));
        }
        links
    }

    fn some_pages(&self, dice: &mut Dice, count: usize) -> Vec<String> {
        let mut pages: Vec<String> = (0..count).map(|_| self.some_page(dice)).collect();
        pages.sort();
        pages.dedup();
        pages
    }

    fn some_page(&self, dice: &mut Dice) -> String {
        self.url(dice.roll(HOSTS), &format!("/p/{}", dice.roll(PAGES)))
    }
}

impl Books {
    /// Notes that a request has come, and whether it may have.
    fn begin(&mut self, host: usize, stream: TcpStream, width: usize) -> u64 {
        let now = Instant::now();
        self.came[host].push(now);
        if let Some(until) = self.busy[host].filter(|&until| now < until) {
            self.broken.push(format!("a request came {:?} before the host's Retry-After", until - now));
        }
        // A client that has lost its patience has hung up before it asks for something else. It may take a
        // moment until this side knows.
        let end = now + Duration::from_millis(50);
        while self.open[host].len() >= width && Instant::now() < end {
            self.open[host].retain(|_, stream| is_open(stream));
        }
        if self.open[host].len() >= width {
            self.broken.push(format!("more than {width} requests at a time"));
        }
        self.next += 1;
        self.open[host].insert(self.next, stream);
        self.next
    }
}

fn is_open(stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).is_err_and(|error| is_not_yet(&error))
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn html(links: &[String]) -> String {
    let links: String = links.iter().map(|url| format!("<p><a href=\"{url}\">to {url}</a></p>\n")).collect();
    format!("<!DOCTYPE html><title>a page</title>{links}")
}

fn send(stream: &mut TcpStream, said: &Said) -> io::Result<()> {
    match said {
        Said::Page(links) => reply(stream, "200 OK", "Content-Type: text/html\r\n", html(links).as_bytes()),
        Said::Sitemap(urls) => {
            let urls: String = urls.iter().map(|url| format!("<url><loc>{url}</loc></url>")).collect();
            let xml = format!("<?xml version=\"1.0\"?><urlset>{urls}</urlset>");
            reply(stream, "200 OK", "Content-Type: application/xml\r\n", xml.as_bytes())
        }
        Said::Robots { forbids, sitemap } => {
            let forbids = forbids.map_or(String::new(), |path| format!("User-agent: *\nDisallow: {path}\n"));
            let sitemap = sitemap.iter().map(|url| format!("Sitemap: {url}\n")).collect::<String>();
            reply(stream, "200 OK", "Content-Type: text/plain\r\n", (forbids + &sitemap).as_bytes())
        }
        Said::Status(status) => reply(stream, &format!("{status} -"), "", b""),
        Said::Busy(status, seconds) => {
            reply(stream, &format!("{status} -"), &format!("Retry-After: {seconds}\r\n"), b"")
        }
        Said::Redirect(to) => reply(stream, "302 Found", &format!("Location: {to}\r\n"), b""),
        Said::Nowhere => reply(stream, "302 Found", "Location: nowhere://[\r\n", b""),
        Said::Half => stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<a href=/half>half",
        ),
        Said::Closed | Said::Silence => Ok(()),
    }
}

/// Sends a page in pieces.
fn drip(stream: &mut TcpStream, html: &str, over: impl FnOnce()) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        html.len()
    );
    let whole = head + html;
    let (last, pieces) = whole.as_bytes().split_last().expect("a head is not empty");
    for piece in pieces.chunks(pieces.len().div_ceil(8)) {
        stream.write_all(piece)?;
        thread::sleep(DRIP);
    }
    over();
    stream.write_all(&[*last])
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        Dice(hasher.finish())
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 33) as usize % sides
    }
}
