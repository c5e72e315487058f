//! Bodies that are packed for the way (RFC 9110 §8.4).

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::row::{Row, answer, check, row};

const HTML: &str = "Content-Type: text/html\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A page that links to `/x`, which is packed.
fn packed(why: &'static str, coding: &str, body: &[u8]) -> Row {
    row(why)
        .on("/", "<a href=/x>")
        .on("/x", answer("200 OK", &format!("{HTML}Content-Encoding: {coding}\r\n"), body))
}

#[test]
fn a_packed_page_is_read_or_told() {
    let page = b"<a href=/found>";
    let found = |why, coding, body: &[u8]| packed(why, coding, body).asks(&["/found"]);
    let told = |why, coding, body: &[u8]| {
        packed(why, coding, body).says("/x").says("not understood").never(&["/found"])
    };
    check(vec![
        found("gzip", "gzip", &gzip(page)),
        found("by its old name (§8.4.1.3)", "x-gzip", &gzip(page)),
        found("in capitals (§8.4.1)", "GZip", &gzip(page)),
        found("deflate is zlib (§8.4.1.2)", "deflate", &zlib(page)),
        found("or, as some servers have it, is not", "deflate", &deflate(page)),
        found("identity", "identity", page),
        found("an empty list", "", page),
        found("two codings, the last undone first (§8.4)", "deflate, gzip", &gzip(&zlib(page))),
        found("the same twice", "gzip, gzip", &gzip(&gzip(page))),
        found("in two lines", "deflate\r\nContent-Encoding: gzip", &gzip(&zlib(page))),
        found("several members (RFC 1952 §2.2)", "gzip", &[gzip(b"<a href="), gzip(b"/found>")].concat()),
        found(
            "what follows the end is ignored, as browsers do",
            "gzip",
            &[gzip(page), b"\0\0garbage".to_vec()].concat(),
        ),
        packed("an empty body is empty, whatever it is called", "gzip", b"").lacks("not understood"),
        packed("and for deflate", "deflate", b"").lacks("not understood"),
        told("what is not packed is not read", "gzip", page),
        told("nor what breaks off", "gzip", &gzip(page)[..20]),
        told("nor another coding", "br", page),
        told("nor one that nobody knows", "loom", page),
        told("nor one of two", "gzip, br", &gzip(page)),
        packed("a packed page that is too large is told so", "gzip", &gzip(&vec![b' '; 9 << 20]))
            .says("too large"),
        packed("also if it is packed twice", "gzip, gzip", &gzip(&gzip(&vec![b' '; 9 << 20])))
            .says("too large"),
        row("what is asked for is what is understood")
            .on("/", "<p>")
            .untold("a", "Accept-Encoding: br")
            .untold("a", ", br"),
    ]);
}
