//! A server with a thread for each connection that stops within two seconds of a signal, and says which
//! connections were still being served.
//!
//!     cargo run --example server       # serves an echo on a free port; connect with `nc`, stop with Ctrl-C
//!
//! A cancel reaches the threads that sleep in this crate. Two foreign calls block here as well, and each is
//! ended by what the cancel does: the `accept` by a connection to itself, a `read` by a shutdown of its
//! socket. What does not stop in time, such as a handler that computes, is named and left behind.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use selvedge::{CancelToken, Group, inspect};

/// How long the connections have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    let stop = CancelToken::new();
    ctrlc::set_handler({
        let stop = stop.clone();
        move || stop.cancel_because("interrupted") // on a thread of its own, not in the handler
    })
    .map_err(io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("serving on {}", listener.local_addr()?);
    let left = serve(listener, &stop, echo)?;
    if left.is_empty() {
        println!("all connections have ended");
    } else {
        println!("still being served: {}", left.join(", "));
        println!("{}", inspect::blocked()); // where they are, if they sleep in a call of the crate
    }
    Ok(())
}

/// Serves each connection on a thread of its own until `stop` is cancelled. Returns the names of the
/// connections that had not ended [`GRACE`] later.
fn serve(
    listener: TcpListener,
    stop: &CancelToken,
    handle: fn(TcpStream, &CancelToken) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    let address = listener.local_addr()?;
    // Ends the `accept` below. If the connection fails, the backlog is full, and `accept` returns for that.
    let _wakes = stop.on_cancel(move || drop(TcpStream::connect_timeout(&address, Duration::from_secs(1))));
    let connections = Group::<io::Error>::new(stop);
    connections.keep_going(); // a connection that fails does not stop the others
    for stream in listener.incoming() {
        if stop.is_cancelled() {
            break;
        }
        let stream = stream?;
        let name = stream.peer_addr()?.to_string();
        let spawned = connections.spawn_named(&name, move |stop| {
            let clone = stream.try_clone()?;
            let _ends_reads = stop.on_cancel(move || drop(clone.shutdown(Shutdown::Both)));
            handle(stream, stop)
        });
        if spawned.is_err() {
            break; // the group's token was cancelled
        }
    }
    match connections.wait_until(GRACE) {
        Ok(_) => Ok(Vec::new()),
        // Dropping the group would wait for what does not stop, and the process is about to end.
        Err(_) => Ok(connections.detach().running),
    }
}

/// Sends each line back.
fn echo(stream: TcpStream, _: &CancelToken) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        writeln!(answers, "{}", line?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc;
    use std::{io, thread};

    use selvedge::CancelToken;

    use super::{echo, serve};

    fn line_of(stream: &TcpStream) -> io::Result<String> {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }

    #[test]
    fn a_stop_ends_silent_connections_and_the_accept() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = CancelToken::new();
        thread::scope(|s| {
            let server = s.spawn(|| serve(listener, &stop, echo));
            let mut client = TcpStream::connect(address)?;
            writeln!(client, "warp")?;
            assert_eq!(line_of(&client)?, "warp\n");
            stop.cancel(); // while the server waits in `accept`, and the connection in `read`
            assert!(server.join().unwrap()?.is_empty());
            assert_eq!(line_of(&client)?, ""); // closed
            Ok(())
        })
    }

    #[test]
    fn connection_that_does_not_stop_is_named() -> io::Result<()> {
        fn deaf(stream: TcpStream, _: &CancelToken) -> io::Result<()> {
            writeln!(&stream, "busy")?;
            loop {
                thread::park(); // hears nothing, ever
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = CancelToken::new();
        let (tell, told) = mpsc::channel();
        thread::spawn({
            let stop = stop.clone();
            move || tell.send(serve(listener, &stop, deaf))
        });
        let client = TcpStream::connect(address)?;
        assert_eq!(line_of(&client)?, "busy\n");
        stop.cancel();
        assert_eq!(told.recv().unwrap()?, [client.local_addr()?.to_string()]);
        Ok(())
    }
}
