//! A web site to crawl: two real servers on the loopback address, with trouble planted in them.

mod map;
mod trouble;
mod verdict;

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;

use selvedge::CancelToken;
use selvedge::sync::{Arc, Mutex, thread};
use selvedge_crawl::{Builder, Crawler};
use tiny_http::{Header, Request, Response, Server};
use url::Url;

use map::{Answer, Map};
use trouble::Names;

/// More than a default crawl has requests at one host, so that what is waited for is the delay of a page.
const THREADS: usize = 10;
/// What a page that is too large has.
const LARGE: u64 = 3 << 20;

/// The limits that the site was made for: one page never answers, one day leads to the next without end, and
/// each page is asked for just once.
pub(crate) fn builder() -> Builder {
    Crawler::builder()
        .depth(12)
        .pages(1_000)
        .body_cap(1 << 20)
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(1))
        .retries(0)
}

/// The site; dropping it stops the servers.
pub(crate) struct Site {
    names: Names,
    start: Url,
    servers: Vec<Arc<Hosted>>,
    threads: Vec<thread::JoinHandle<()>>,
    stop: CancelToken,
}

/// A server with what it serves, and how often each path was asked for: the crawl is judged by that, not by
/// its own word.
struct Hosted {
    server: Server,
    map: Map,
    asked: Mutex<HashMap<String, usize>>,
}

impl Site {
    /// Starts the servers on ports that the system picks.
    pub(crate) fn open() -> Result<Self, Box<dyn Error>> {
        let bind = || Server::http("127.0.0.1:0").map_err(|error| -> Box<dyn Error> { error });
        let (main, archive) = (bind()?, bind()?);
        let names = Names { main: authority(&main)?, archive: authority(&archive)? };
        let start = Url::parse(&names.resolve("http://{main}/"))?;
        let stop = CancelToken::new();
        let hosted = |server, map| Arc::new(Hosted { server, map, asked: Mutex::new(HashMap::new()) });
        let servers = vec![hosted(main, map::main(&names)), hosted(archive, map::archive(&names))];
        let mut site = Site { names, start, servers, threads: Vec::new(), stop };
        for server in site.servers.iter().flat_map(|server| std::iter::repeat_n(server, THREADS)) {
            let (server, stop) = (Arc::clone(server), site.stop.clone());
            site.threads.push(thread::Builder::new().name("site".into()).spawn(move || server.serve(&stop))?);
        }
        Ok(site)
    }

    /// The home page.
    pub(crate) fn start(&self) -> &Url {
        &self.start
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
        for server in &self.servers {
            // One for each thread: it is taken by the first that looks.
            (0..THREADS).for_each(|_| server.server.unblock());
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr, and the verdict will miss its pages.
            let _ = thread.join();
        }
    }
}

fn authority(server: &Server) -> Result<String, Box<dyn Error>> {
    let address = server.server_addr().to_ip().ok_or("the site's server has no IP address")?;
    Ok(address.to_string())
}

impl Hosted {
    /// Answers requests until the server is unblocked.
    fn serve(&self, stop: &CancelToken) {
        while !stop.is_cancelled()
            && let Ok(request) = self.server.recv()
        {
            // A client that went away is no trouble of ours.
            let _ = self.answer(request, stop);
        }
    }

    fn answer(&self, request: Request, stop: &CancelToken) -> io::Result<()> {
        let path = request.url().to_owned();
        *self.asked.lock().entry(path.clone()).or_default() += 1;
        let Some(page) = self.map.page(&path) else {
            return send(request, 404, "", "There is nothing here.");
        };
        if stop.sleep(page.delay).is_err() {
            return Ok(());
        }
        match page.answer {
            Answer::Html(html) => send(request, 200, "Content-Type: text/html; charset=utf-8\r\n", &html),
            Answer::Of(mime, body) => send(request, 200, &format!("Content-Type: {mime}\r\n"), body),
            Answer::Redirect(status, to) => send(request, status, &format!("Location: {to}\r\n"), ""),
            Answer::Status(status) => send(request, status, "", "It is broken."),
            Answer::Large { announced } => {
                let html = Header::from_bytes("Content-Type", "text/html").expect("a fixed header");
                let length = announced.then_some(LARGE as usize);
                let body = io::repeat(b' ').take(LARGE);
                let response = Response::new(200.into(), vec![html], body, length, None);
                request.respond(response.with_chunked_threshold(usize::MAX))
            }
        }
    }
}

/// Answers, where the server's own way of answering has two faults.
///
/// It makes a write for the header and one for the body, and on a connection that is kept alive the second
/// waits for the client's delayed acknowledgement of the first: 40 ms a page. A run took 4.4 s, and 2.6 with
/// the one write that is made here.
///
/// And it keeps a thread for each connection, but when several connect at once it counts on a waiting thread
/// that it has promised to another, and then a connection has no thread until some other client hangs up: of
/// 26 runs with 34 workers, two had pages that timed out. So every client hangs up after its answer, and of
/// 50 runs since, none had.
fn send(request: Request, status: u16, header: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let header = format!("HTTP/1.1 {status} -\r\n{header}Connection: close\r\nContent-Length: {length}");
    let answer = format!("{header}\r\n\r\n{body}");
    let mut writer = request.into_writer();
    writer.write_all(answer.as_bytes())?;
    writer.flush()
}
