//! Small sites on a loopback address that note what they were asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::server::{Asked, Server, reply};

/// An answer as a test writes it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: String,
    headers: String,
    body: Vec<u8>,
}

impl Reply {
    /// A page of HTML.
    pub(crate) fn page(html: impl Into<Vec<u8>>) -> Self {
        Reply::of("text/html", html)
    }

    /// A body of another type.
    pub(crate) fn of(mime: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply { status: "200 OK".into(), headers: format!("Content-Type: {mime}\r\n"), body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Reply { status: format!("{status} -"), headers: String::new(), body: Vec::new() }
    }

    pub(crate) fn status_line(self, line: &str) -> Self {
        Reply { status: line.to_owned(), ..self }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Reply::status(302).header("Location", to)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }
}

/// A site; everything that it does not know is a 404.
pub(crate) struct Site {
    server: Server,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The second loopback address, which is another host than the first.
pub(crate) const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

impl Site {
    /// A site on the first loopback address.
    pub(crate) fn open(answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Site::open_at(IpAddr::V4(Ipv4Addr::LOCALHOST), answer)
    }

    pub(crate) fn open_at(
        ip: IpAddr,
        answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let notes = Arc::clone(&asked);
        let serve = move |asked: &Asked, stream: &mut TcpStream| -> io::Result<()> {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
            let answer = answer(asked).unwrap_or_else(|| Reply::status(404));
            let body = if asked.method == "HEAD" { &[][..] } else { &answer.body };
            reply(stream, &answer.status, &answer.headers, body)
        };
        Site { server: Server::open(ip, serve).unwrap(), asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }

    /// True if any request that was made has `text` in its head.
    pub(crate) fn was_told(&self, text: &str) -> bool {
        self.asked().iter().any(|asked| asked.head.contains(text))
    }
}
