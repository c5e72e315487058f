//! A small site, what is asked of it, and what must come out.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::common::server::{Asked, Server};
use crate::common::site::OTHER;
use crate::common::tool::{command, text};
use crate::common::within_a_minute;

/// The hosts of a row. `a` is where the crawl begins, `b` is another host, `c` is `a` at another port.
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// How many rows are tried at the same time.
const AT_ONCE: usize = 4;

/// What a path answers.
struct Answer {
    /// The host and the path, such as `b/x`.
    place: String,
    method: Option<&'static str>,
    /// What the head of the request must contain.
    needs: Option<String>,
    /// Whether it is the answer to the first such request only.
    once: bool,
    was_given: AtomicBool,
    bytes: Option<Vec<u8>>,
}

/// A site and what must come of a crawl that begins at it. It ends with no dead links unless the row says
/// otherwise.
pub(crate) struct Row {
    why: &'static str,
    start: String,
    flags: Vec<String>,
    variables: Vec<(&'static str, String)>,
    answers: Vec<Answer>,
    asks: Vec<&'static str>,
    never: Vec<&'static str>,
    told: Vec<(&'static str, &'static str, bool)>,
    exits: Vec<i32>,
    says: Vec<&'static str>,
    lacks: Vec<&'static str>,
}

/// A row. The sentence says what is right, and where that is written.
pub(crate) fn row(why: &'static str) -> Row {
    Row {
        why,
        start: "{a}/".to_owned(),
        flags: Vec::new(),
        variables: Vec::new(),
        answers: Vec::new(),
        asks: Vec::new(),
        never: Vec::new(),
        told: Vec::new(),
        exits: vec![0],
        says: Vec::new(),
        lacks: Vec::new(),
    }
}

/// An answer with headers, each with its line end, and a body.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

impl Row {
    /// Answers a path: `/x` of the first host, `b/x` of another; `HEAD b/x` only if it is asked so.
    ///
    /// An answer that begins with `<` is a page, with three digits a status and perhaps a location, with a
    /// media type and a colon a body of that type. Anything else is sent as it is. `{a}`, `{b}` and `{c}`
    /// stand for the hosts' addresses, `{me@a}` for one with a user and a password.
    pub(crate) fn on(mut self, place: &str, bytes: impl AsRef<[u8]>) -> Self {
        let new = Answer::new(place);
        // The last holds.
        let is_same = |old: &Answer| old.place == new.place && old.method == new.method;
        self.answers.retain(|old| !is_same(old) || old.needs.is_some() || old.once);
        self.add(place, None, false, bytes.as_ref())
    }

    /// Answers only requests whose head contains a text.
    pub(crate) fn on_told(self, place: &str, needs: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.add(place, Some(needs.to_ascii_lowercase()), false, bytes.as_ref())
    }

    /// Answers the first request only.
    pub(crate) fn on_first(self, place: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.add(place, None, true, bytes.as_ref())
    }

    /// Answers nothing and waits for the client to go away.
    pub(crate) fn on_silent(mut self, place: &str) -> Self {
        self.answers.push(Answer { bytes: None, ..Answer::new(place) });
        self
    }

    fn add(mut self, place: &str, needs: Option<String>, once: bool, bytes: &[u8]) -> Self {
        self.answers.push(Answer { needs, once, bytes: Some(written(bytes)), ..Answer::new(place) });
        self
    }

    pub(crate) fn start(mut self, start: &str) -> Self {
        self.start = if start.starts_with('/') { format!("{{a}}{start}") } else { start.to_owned() };
        self
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// These are asked for. What has no answer yet is an empty page.
    pub(crate) fn asks(mut self, places: &[&'static str]) -> Self {
        self.asks.extend(places);
        self
    }

    /// These are not asked for.
    pub(crate) fn never(mut self, places: &[&'static str]) -> Self {
        self.never.extend(places);
        self
    }

    /// Some request to this host has the text in its head.
    pub(crate) fn told(mut self, host: &'static str, text: &'static str) -> Self {
        self.told.push((host, text, true));
        self
    }

    /// No request to this host, or to this place, has the text in its head.
    pub(crate) fn untold(mut self, host: &'static str, text: &'static str) -> Self {
        self.told.push((host, text, false));
        self
    }

    /// Ends with this status, or one of these.
    pub(crate) fn exits(mut self, statuses: &[i32]) -> Self {
        self.exits = statuses.to_vec();
        self
    }

    pub(crate) fn says(mut self, text: &'static str) -> Self {
        self.says.push(text);
        self
    }

    pub(crate) fn lacks(mut self, text: &'static str) -> Self {
        self.lacks.push(text);
        self
    }
}

impl Answer {
    fn new(place: &str) -> Self {
        let (method, place) = match place.split_once(' ') {
            Some(("HEAD", place)) => (Some("HEAD"), place),
            Some(("GET", place)) => (Some("GET"), place),
            _ => (None, place),
        };
        let place = if place.starts_with('/') { format!("a{place}") } else { place.to_owned() };
        Answer { place, method, needs: None, once: false, was_given: AtomicBool::new(false), bytes: None }
    }

    fn fits(&self, host: &str, asked: &Asked) -> bool {
        self.place.strip_prefix(host) == Some(&asked.path)
            && self.method.is_none_or(|method| method == asked.method)
            && self.needs.as_ref().is_none_or(|needs| asked.head.to_ascii_lowercase().contains(needs))
            && !(self.once && self.was_given.swap(true, SeqCst))
    }
}

/// An answer as it goes over the line.
fn written(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let is_status = text.len() >= 3 && text.as_bytes()[..3].iter().all(u8::is_ascii_digit);
    let head = text.split_once(": ").filter(|(mime, _)| {
        mime.contains('/') && !mime.contains(['<', ' ', '\n']) && !mime.starts_with("HTTP")
    });
    match head {
        _ if is_status => {
            let location = text[3..].trim_start();
            let header =
                if location.is_empty() { String::new() } else { format!("Location: {location}\r\n") };
            answer(&format!("{} -", &text[..3]), &header, "")
        }
        _ if bytes.first() == Some(&b'<') => answer("200 OK", "Content-Type: text/html\r\n", bytes),
        Some((mime, body)) => answer("200 OK", &format!("Content-Type: {mime}\r\n"), body),
        None => bytes.to_vec(),
    }
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// The length is counted again: an address is longer than what stands for it.
fn at_addresses(bytes: &[u8], addresses: &[String]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for (host, address) in HOSTS.iter().zip(addresses) {
        out = replaced(&out, &format!("{{{host}}}"), address);
        out = replaced(&out, &format!("{{//{host}}}"), &address["http:".len().min(address.len())..]);
        let login = address.replace("http://", "http://me:S3CRET@");
        out = replaced(&out, &format!("{{me@{host}}}"), &login);
    }
    let end = |bytes: &[u8]| bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    if let (Some(before), Some(after)) = (end(bytes), end(&out)) {
        let length = |bytes: &[u8], end: usize| format!("Content-Length: {}\r\n", bytes.len() - end);
        out = replaced(&out, &length(bytes, before), &length(&out, after));
    }
    out
}

/// What the hosts of one row were asked.
type Notes = Arc<Mutex<Vec<(&'static str, Asked)>>>;

impl Row {
    /// Runs the program on the site; what is not as it must be.
    fn run(mut self) -> Result<(), String> {
        let missing = |place: &&str| {
            let place = Answer::new(place).place;
            !self.answers.iter().any(|answer| answer.place == place)
        };
        let missing: Vec<_> = self.asks.iter().filter(|place| missing(place)).copied().collect();
        for place in missing {
            self = self.on(place, "<p>");
        }
        let (notes, answers) = (Notes::default(), Arc::new(std::mem::take(&mut self.answers)));
        let addresses: Arc<Mutex<Vec<String>>> = Arc::default();
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let servers: Vec<Server> = HOSTS
            .iter()
            .zip([local, OTHER, local])
            .map(|(&host, ip)| open(host, ip, &notes, &answers, &addresses))
            .collect();
        *addresses.lock().unwrap() = servers.iter().map(|server| server.url("")).collect();
        let known = addresses.lock().unwrap().clone();
        let with = |text: &str| text_of(&at_addresses(text.as_bytes(), &known));
        let mut arguments = vec![with(&self.start)];
        arguments.extend(self.flags.iter().map(|flag| with(flag)));
        for (flag, value) in [("--retries", "0"), ("--timeout", "5")] {
            if !self.flags.iter().any(|given| given == flag) {
                arguments.extend([flag.to_owned(), value.to_owned()]);
            }
        }
        let mut program = command(&[]);
        for (name, value) in &self.variables {
            program.env(name, with(value));
        }
        let output = program.args(&arguments).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        let wrong = self.wrong(&notes, output.status.code(), &said);
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("- {}: {}\n{}", self.why, wrong.join("; "), indented(&said))),
        }
    }

    fn wrong(&self, notes: &Notes, status: Option<i32>, said: &str) -> Vec<String> {
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        let asked: BTreeSet<String> =
            notes.iter().map(|(host, asked)| format!("{host}{}", asked.path)).collect();
        let with_host =
            |place: &str| if place.starts_with('/') { format!("a{place}") } else { place.to_owned() };
        let mut wrong = Vec::new();
        for place in self.asks.iter().filter(|place| !asked.contains(&with_host(place))) {
            wrong.push(format!("{place} was not asked for, but {asked:?}"));
        }
        for place in self.never.iter().filter(|place| asked.contains(&with_host(place))) {
            wrong.push(format!("{place} was asked for"));
        }
        for (to, text, must) in &self.told {
            let lower = text.to_ascii_lowercase();
            let is_to =
                |host: &str, asked: &Asked| *to == host || with_host(to) == format!("{host}{}", asked.path);
            let was_told = notes
                .iter()
                .any(|(host, asked)| is_to(host, asked) && asked.head.to_ascii_lowercase().contains(&lower));
            if was_told != *must {
                wrong.push(format!("{to} was {}told {text:?}", if was_told { "" } else { "not " }));
            }
        }
        if !status.is_some_and(|status| self.exits.contains(&status)) {
            wrong.push(format!("it ended with {status:?}, not {:?}", self.exits));
        }
        wrong.extend(
            self.says.iter().filter(|text| !said.contains(**text)).map(|text| format!("it lacks {text:?}")),
        );
        wrong.extend(
            self.lacks.iter().filter(|text| said.contains(**text)).map(|text| format!("it says {text:?}")),
        );
        wrong
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      | {line}\n")).collect()
}

fn open(
    host: &'static str,
    ip: IpAddr,
    notes: &Notes,
    answers: &Arc<Vec<Answer>>,
    addresses: &Arc<Mutex<Vec<String>>>,
) -> Server {
    let (notes, answers, addresses) = (Arc::clone(notes), Arc::clone(answers), Arc::clone(addresses));
    let serve = move |asked: &Asked, stream: &mut TcpStream| -> io::Result<()> {
        notes.lock().unwrap_or_else(PoisonError::into_inner).push((host, asked.clone()));
        let known = addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(answer) = answers.iter().find(|answer| answer.fits(host, asked)) else {
            return stream.write_all(&self::answer("404 -", "", ""));
        };
        let Some(bytes) = &answer.bytes else { return io::copy(stream, &mut io::sink()).map(drop) };
        let mut bytes = at_addresses(bytes, &known);
        if asked.method == "HEAD" && answer.method.is_none() {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
            bytes.truncate(end.unwrap_or(bytes.len()));
        }
        stream.write_all(&bytes)
    };
    Server::open(ip, serve).unwrap()
}

/// Tries every row, and says which are not as they must be.
#[track_caller]
pub(crate) fn check(rows: Vec<Row>) {
    let wrong = within_a_minute(move || {
        let count = rows.len();
        let (rows, wrong) = (Mutex::new(rows.into_iter()), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let next = rows.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(row) = next else { return };
                        if let Err(why) = row.run() {
                            wrong.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                        }
                    }
                });
            }
        });
        (wrong.into_inner().unwrap_or_else(PoisonError::into_inner), count)
    });
    let (wrong, count) = wrong;
    assert!(wrong.is_empty(), "{} of {count} rows came out otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
