//! Bodies that are packed for the way (`Content-Encoding`, RFC 9110 section 8.4).
//!
//! The HTTP client is not asked to unpack: it knows one coding, and fails on what browsers accept, such as an
//! empty body or bytes after the end.

use std::error::Error;
use std::fmt;
use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;
use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::fetch::{Response, values};

/// What is asked for, which is what [`unpacking`] understands.
pub(super) const ACCEPTED: &str = "gzip, deflate";

/// Codings of one body that are undone.
const DEEPEST: usize = 4;

/// A body as it comes over the line, or unpacked.
type Stream<'a> = Box<dyn Read + 'a>;

/// A failure to read the line, as opposed to one to unpack what was read.
#[derive(Debug)]
struct OfLine(io::Error);

impl fmt::Display for OfLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for OfLine {}

/// Why a body was not read.
pub(super) enum Unreadable {
    /// The connection failed.
    Line(io::Error),
    /// What arrived cannot be unpacked, in words.
    Coding(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.downcast::<OfLine>() {
            Ok(OfLine(error)) => Unreadable::Line(error),
            Err(error) => Unreadable::Coding(format!("its body cannot be unpacked: {error}")),
        }
    }
}

/// A reader of the body of `response`, unpacked from `line`.
pub(super) fn unpacking<'a>(response: &Response, line: impl Read + 'a) -> Result<Stream<'a>, Unreadable> {
    let headers = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    let codings = headers.flat_map(|(_, value)| values(value)).map(str::to_ascii_lowercase);
    let codings: Vec<String> = codings.filter(|coding| !matches!(&**coding, "" | "identity")).collect();
    if codings.len() > DEEPEST {
        return Err(Unreadable::Coding(format!("its body is packed {} times", codings.len())));
    }
    let mut stream: Stream<'a> = Box::new(Line(line));
    // The last one named was applied last.
    for coding in codings.iter().rev() {
        stream = match &**coding {
            "gzip" | "x-gzip" => gzip(stream)?,
            "deflate" => deflate(stream)?,
            other => {
                return Err(Unreadable::Coding(format!(
                    "Content-Encoding {other:?}, which was not asked for"
                )));
            }
        };
    }
    Ok(stream)
}

/// The connection, whose errors are marked so that they can be told from those of a decoder.
struct Line<R>(R);

impl<R: Read> Read for Line<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| io::Error::other(OfLine(error)))
    }
}

fn is_of_line(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<OfLine>())
}

/// The first `count` bytes of a stream, or all if it is shorter, and the whole stream again.
fn begin<'a>(mut stream: Stream<'a>, count: u64) -> io::Result<(Vec<u8>, Stream<'a>)> {
    let mut begin = Vec::new();
    stream.by_ref().take(count).read_to_end(&mut begin)?;
    let whole = Cursor::new(begin.clone()).chain(stream);
    Ok((begin, Box::new(whole)))
}

fn gzip(stream: Stream<'_>) -> io::Result<Stream<'_>> {
    let (begin, stream) = begin(stream, 1)?;
    // An empty body is empty, whatever it is called.
    if begin.is_empty() {
        return Ok(stream);
    }
    let member = Box::new(GzDecoder::new(BufReader::new(stream)));
    Ok(Box::new(Gzip::Member(member, Found::Nothing)))
}

/// By the standard in the format of zlib, which some servers leave out.
fn deflate(stream: Stream<'_>) -> io::Result<Stream<'_>> {
    let (begin, stream) = begin(stream, 2)?;
    Ok(match begin[..] {
        [] => stream,
        [method, flags] if method & 15 == 8 && u16::from_be_bytes([method, flags]) % 31 == 0 => {
            Box::new(ZlibDecoder::new(stream))
        }
        _ => Box::new(DeflateDecoder::new(stream)),
    })
}

/// The members of a gzip file, one after the other. What follows the last one and is none is ignored.
enum Gzip<'a> {
    Member(Box<GzDecoder<BufReader<Stream<'a>>>>, Found),
    End,
}

/// What a member has given so far.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    /// Nothing, and it is the first.
    Nothing,
    /// Nothing, and there were others.
    NothingMore,
    Bytes,
}

impl Read for Gzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Gzip::Member(member, found) = self else { return Ok(0) };
            match member.read(buffer) {
                Ok(0) if buffer.is_empty() => return Ok(0),
                Ok(0) => {
                    let Gzip::Member(member, _) = std::mem::replace(self, Gzip::End) else { return Ok(0) };
                    let next = Box::new(GzDecoder::new(member.into_inner()));
                    *self = Gzip::Member(next, Found::NothingMore);
                }
                Err(error) if *found == Found::NothingMore && !is_of_line(&error) => {
                    *self = Gzip::End;
                    return Ok(0);
                }
                Ok(length) => {
                    *found = Found::Bytes;
                    return Ok(length);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
