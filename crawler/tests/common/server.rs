//! A server that does what a test tells it to, byte by byte: no library would send what these tests need.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// All headers, as they were sent.
    pub(crate) head: String,
}

/// Answers on the loopback address until it is dropped, with a thread for each connection.
pub(crate) struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Listens on a port of `ip` that is free. Each connection serves one request.
    pub(crate) fn open(
        ip: IpAddr,
        answer: impl Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let (address, answer, stopped) =
            (listener.local_addr()?, Arc::new(answer), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&stopped);
        thread::Builder::new().name("server".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    // A client that went away is no trouble of ours.
                    let _ = serve(stream, &*answer);
                });
            }
        })?;
        Ok(Server { address, stopped })
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then looks at the flag.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Asked, &mut TcpStream) -> io::Result<()> + ?Sized),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match next(&mut stream)? {
        Some(asked) => answer(&asked, &mut stream),
        None => Ok(()),
    }
}

/// The next request on a connection; `None` if the client hung up.
pub(crate) fn next(stream: &mut TcpStream) -> io::Result<Option<Asked>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    Ok(Some(Asked { method: word(), path: word(), head }))
}

/// Sends an answer with a body of known length, and hangs up.
pub(crate) fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    // One write: a second would wait for the client to acknowledge the first.
    stream.write_all(&[head.as_bytes(), body].concat())
}

/// Sends a page of HTML.
pub(crate) fn page(stream: &mut TcpStream, html: &str) -> io::Result<()> {
    reply(stream, "200 OK", "Content-Type: text/html\r\n", html.as_bytes())
}
