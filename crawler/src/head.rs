//! Heads of answers that are not quite HTTP, made into what the client reads.
//!
//! The client refuses an answer with a folded header line, with white space before a colon, with a line
//! that has no colon, or with more than 128 lines. Browsers read them all, so a link to such a page is not
//! dead. A transport between the connection and the client mends the head before the client sees it, as RFC
//! 9112 says (5.1, 5.2): a fold becomes a space, the white space goes, and so does a line that is no field.
//! Of too many lines those stay that the crawler looks at. A head that is in order is passed on as it is,
//! and what is no HTTP at all too.

use std::time::Duration;

use selvedge::sync::time;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time::Duration as Limit,
};

/// The longest head that is mended; it must fit into the client's buffer.
const LONGEST: usize = 64 << 10;
/// Lines that the client reads, and a few less.
const LINES: usize = 120;
/// The fields that are kept of a head with too many.
const LOOKED_AT: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cache-control",
    "date",
    "etag",
    "last-modified",
    "link",
    "location",
    "refresh",
    "retry-after",
    "set-cookie",
    "transfer-encoding",
];

/// Puts a [`Mending`] around each connection.
#[derive(Debug)]
pub(super) struct Mend;

/// A connection whose heads are mended.
#[derive(Debug)]
pub(super) struct Mending<T> {
    inner: T,
    /// A request was sent, so a head comes next.
    expects_head: bool,
}

impl<T: Transport> Connector<T> for Mend {
    type Out = Mending<T>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<T>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Mending { inner, expects_head: false }))
    }
}

impl<T: Transport> Transport for Mending<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.expects_head = true;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.expects_head {
            return self.inner.await_input(timeout);
        }
        // The client is shown a head when it is whole, since it would refuse the first half of a bad one.
        let begun = time::now();
        loop {
            let mut left = timeout;
            if let Limit::Exact(after) = timeout.after {
                let after = after.saturating_sub(time::now().saturating_duration_since(begun));
                left.after = Limit::Exact(after.max(Duration::from_millis(1)));
            }
            let has_more = self.inner.await_input(left)?;
            let input = self.inner.buffers().input();
            let is_http = input.starts_with(&b"HTTP/"[..input.len().min(5)]);
            let end = end_of_head(input);
            if end.is_none() && has_more && is_http && input.len() < LONGEST {
                continue;
            }
            // What comes before the answer proper (a 103, say) is followed by another head.
            self.expects_head = end.is_some() && input.get(9) == Some(&b'1');
            let Some(end) = end.filter(|_| is_http) else { return Ok(has_more) };
            if let Some(mended) = mended(&input[..end]) {
                let all = [&mended, &input[end..]].concat();
                let buffers = self.inner.buffers();
                buffers.input_consume(buffers.input().len());
                buffers.input_append_buf()[..all.len()].copy_from_slice(&all);
                buffers.input_appended(all.len());
            }
            return Ok(true);
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Where a head ends, behind its empty line.
fn end_of_head(input: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let line = from + input[from..].iter().position(|&byte| byte == b'\n')? + 1;
        match &input[line..] {
            [b'\n', ..] => return Some(line + 1),
            [b'\r', b'\n', ..] => return Some(line + 2),
            _ => from = line,
        }
    }
}

/// A head that the client reads, if this one is not; never longer than it was.
fn mended(head: &[u8]) -> Option<Vec<u8>> {
    let lines =
        || head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty());
    let is_fold = |line: &[u8]| matches!(line.first(), Some(b' ' | b'\t'));
    if lines().skip(1).all(|line| !is_fold(line) && name(line).is_some_and(|(_, is_clean)| is_clean))
        && lines().count() <= LINES
    {
        return None;
    }
    let mut all = lines();
    let status = all.next()?;
    let mut fields: Vec<Vec<u8>> = Vec::new();
    // Whether what a fold would belong to is kept.
    let mut is_kept = false;
    for line in all {
        if is_fold(line) {
            if let Some(field) = fields.last_mut().filter(|_| is_kept) {
                field.push(b' ');
                field.extend_from_slice(line.trim_ascii());
            }
            continue;
        }
        is_kept = name(line).is_some();
        if let Some((name, _)) = name(line) {
            let rest = &line[line.iter().position(|&byte| byte == b':').unwrap_or(0)..];
            fields.push([name, rest].concat());
        }
    }
    if fields.len() >= LINES {
        fields.retain(|field| {
            LOOKED_AT.iter().any(|kept| {
                field.get(..kept.len()).is_some_and(|name| name.eq_ignore_ascii_case(kept.as_bytes()))
                    && field.get(kept.len()) == Some(&b':')
            })
        });
    }
    let mut mended = status.to_vec();
    for field in fields {
        mended.extend_from_slice(b"\r\n");
        mended.extend(field);
    }
    mended.extend_from_slice(b"\r\n\r\n");
    Some(mended)
}

/// The name of a field, and whether the colon follows it at once; `None` if the line is no field.
fn name(line: &[u8]) -> Option<(&[u8], bool)> {
    let before = &line[..line.iter().position(|&byte| byte == b':')?];
    let name = before.trim_ascii_end();
    let is_token = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!name.is_empty() && name.iter().all(is_token)).then_some((name, name.len() == before.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(head: &str) -> Option<String> {
        mended(head.as_bytes()).map(|head| String::from_utf8(head).unwrap())
    }

    #[test]
    fn a_head_that_is_in_order_is_left_alone() {
        assert_eq!(text("HTTP/1.1 200 OK\r\nA: b\r\nC-D:\r\n\r\n"), None);
        assert_eq!(text("HTTP/1.1 200\nA: b\n\n"), None);
    }

    #[test]
    fn folds_spaces_and_lines_that_are_no_fields_go() {
        let head = "HTTP/1.1 200 OK\r\n lost\r\nA: b\r\n\tc\r\nno field\r\n nor this\r\nD : e\r\n: f\r\n\r\n";
        assert_eq!(text(head).unwrap(), "HTTP/1.1 200 OK\r\nA: b c\r\nD: e\r\n\r\n");
    }

    #[test]
    fn of_too_many_lines_those_that_are_looked_at_stay() {
        let many: String = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let head = format!("HTTP/1.1 301 Moved\r\n{many}Location: /x\r\nlocation-of: y\r\n\r\n");
        assert_eq!(text(&head).unwrap(), "HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n");
    }

    #[test]
    fn a_head_ends_behind_its_empty_line() {
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\n\n"), Some(25));
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\nA: b\n\nbody"), Some(22));
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\r\nA: b\r\n"), None);
    }
}
