//! Answers that look odd and are right, or that clients are lenient with (RFC 9112).

use crate::row::{Row, answer, check, row};

const HTML: &str = "Content-Type: text/html\r\nConnection: close\r\n";

/// A page that links to `/x`, which links to `/found`.
fn page(why: &'static str, x: impl AsRef<[u8]>) -> Row {
    row(why).on("/", "<a href=/x>").on("/x", x).asks(&["/x", "/found"])
}

#[test]
fn an_answer_that_is_right_is_read_however_it_looks() {
    let link = "<a href=/found>";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n";
    let ok = format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: 15\r\n\r\n{link}");
    let chunked =
        |chunks: &str| format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\n{chunks}");
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{HTML}{headers}\r\n\r\n{link}");
    check(vec![
        page("hints come before the answer (RFC 8297)", format!("{hints}{ok}")),
        page("so do several of them", format!("{hints}{hints}{ok}")),
        page("and 102 (RFC 9110 §15.2)", format!("HTTP/1.1 102 Processing\r\n\r\n{ok}")),
        page("and 100, which nobody asked for", format!("HTTP/1.1 100 Continue\r\n\r\n{ok}")),
        row("hints before the answer to HEAD")
            .on("/", "<a href={b}/x>")
            .on("b/x", format!("{hints}{ok}"))
            .on("HEAD b/x", format!("{hints}HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
            .flags(&["--external"])
            .asks(&["b/x"]),
        page("a body that ends with the connection (RFC 9112 §6.3)", with("X: y")),
        page("HTTP/1.0", ok.replace("HTTP/1.1", "HTTP/1.0")),
        page("a status line without a reason (RFC 9112 §4)", ok.replace("200 OK", "200 ")),
        page("and without the space before it, as some servers do", ok.replace("200 OK", "200")),
        page("lines that end in a line feed alone (RFC 9112 §2.2)", ok.replace("\r\n", "\n")),
        page("names in another case (RFC 9110 §5.1)", ok.replace("Content-Type", "cOnTeNt-tYpE")),
        page("white space around a value (RFC 9110 §5.5)", ok.replace("text/html", "  text/html \t")),
        page(
            "a type in another case, with parameters",
            ok.replace("text/html", "Text/HTML ;Charset=\"utf-8\""),
        ),
        page("an empty value", with("X-Empty:\r\nContent-Length: 15")),
        page("bytes above ASCII in a value (RFC 9110 §5.5)", {
            let mut bytes = ok.clone().into_bytes();
            let at = ok.find("Connection").unwrap();
            bytes.splice(at..at, b"X-Name: caf\xe9\r\n".iter().copied());
            bytes
        }),
        page("the same length twice (RFC 9110 §8.6)", with("Content-Length: 15\r\nContent-Length: 15")),
        page("a Location that is no redirect", with("Location: /lost\r\nContent-Length: 15"))
            .never(&["/lost"]),
        page("chunks", chunked("5\r\n<a hr\r\nA\r\nef=/found>\r\n0\r\n\r\n")),
        page(
            "chunks with extensions (RFC 9112 §7.1.1)",
            chunked("f;x=\"y\"\r\n<a href=/found>\r\n0;z\r\n\r\n"),
        ),
        page(
            "chunks with trailers (RFC 9112 §7.1.2)",
            chunked("f\r\n<a href=/found>\r\n0\r\nX-T: y\r\n\r\n"),
        ),
        page("sizes with zeros before them", chunked("000F\r\n<a href=/found>\r\n000\r\n\r\n")),
        page(
            "a coding in another case (RFC 9112 §7)",
            chunked("f\r\n<a href=/found>\r\n0\r\n\r\n").replace("chunked", "Chunked"),
        ),
        page(
            "chunks win over a length (RFC 9112 §6.3)",
            chunked("f\r\n<a href=/found>\r\n0\r\n\r\n").replace("Transfer", "Content-Length: 3\r\nTransfer"),
        ),
        page(
            "no type at all, and HTML (MIME Sniffing §7.1)",
            answer("200 OK", "", "\n <!-- x --> <a href=/found>"),
        ),
        page("an empty type", answer("200 OK", "Content-Type:\r\n", "<html><a href=/found>")),
        page("a type that is none", answer("200 OK", "Content-Type: html\r\n", "<html><a href=/found>")),
        page(
            "the last of two types (Fetch, extract a MIME type)",
            answer("200 OK", "Content-Type: text/plain\r\nContent-Type: text/html\r\n", link),
        ),
        page(
            "the last of two types in one line",
            answer("200 OK", "Content-Type: text/plain, text/html\r\n", link),
        ),
        page(
            "a second type that is none does not count",
            answer("200 OK", "Content-Type: text/html\r\nContent-Type: */*\r\n", link),
        ),
        page(
            "a status that nobody knows is the first of its class (RFC 9110 §15)",
            answer("299 -", HTML, link),
        ),
        page("no more than a time to wait", with("Retry-After: 99\r\nContent-Length: 15")),
        page("a place that is the content's own", with("Content-Location: /lost\r\nContent-Length: 15"))
            .never(&["/lost"]),
        page("a transfer that is none", with("Transfer-Encoding: identity\r\nContent-Length: 15")),
        page("a status of its own with a body (203, 226)", answer("226 -", HTML, link)),
        page("an upgrade that is offered", with("Upgrade: h2c\r\nContent-Length: 15")),
        page(
            "many cookies and long lines",
            with(&format!("X-Long: {}\r\nContent-Length: 15", "x".repeat(6_000))),
        ),
        page("XHTML", answer("200 OK", "Content-Type: application/xhtml+xml\r\n", link)),
        page("a Refresh header", answer("200 OK", &format!("{HTML}Refresh: 5; url=/found\r\n"), "<p>")),
        page(
            "a Link header (RFC 8288 §3)",
            answer("200 OK", &format!("{HTML}Link: </x>; rel=self, </found>; rel=\"next\"\r\n"), "<p>"),
        ),
    ]);
}

#[test]
fn an_answer_that_the_client_does_not_understand_is_uncertain_and_not_dead() {
    let odd = |why, headers: &str| {
        row(why).on("/", "<a href=/x>").on("/x", answer("200 OK", &format!("{HTML}{headers}"), "<p>"))
    };
    let many: String = (0..150).map(|n| format!("X-{n}: {n}\r\n")).collect();
    check(vec![
        odd("a folded line (RFC 9112 §5.2)", "X-A: one\r\n two\r\n"),
        odd("white space before a colon (RFC 9112 §5.1)", "Server : x\r\n"),
        odd("a line without a colon", "garbage line\r\n"),
        odd("150 lines", &many),
        row("a length that is none")
            .on("/", "<a href=/x>")
            .on("/x", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")
            .says("not understood"),
        row("two lengths that differ (RFC 9112 §6.3)")
            .on("/", "<a href=/x>")
            .on("/x", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\n<p>")
            .exits(&[0, 1])
            .says("/x"),
        row("a size of a chunk that is none")
            .on("/", "<a href=/x>")
            .on(
                "/x",
                format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\nxyz\r\n<p>\r\n0\r\n\r\n"),
            )
            .says("not understood"),
        row("another protocol").on("/", "<a href=/x>").on("/x", "ICY 200 OK\r\n\r\n").says("not understood"),
        row("no head at all").on("/", "<a href=/x>").on("/x", "just text\r\n\r\n").says("not understood"),
    ]);
}
