//! Answers to HEAD that say nothing about GET (RFC 9110 §9.3.2).

use crate::row::{Row, answer, check, row};

/// A page that links to `b/x`, which is only looked at.
fn leaf(why: &'static str) -> Row {
    row(why).on("/", "<a href={b}/x>").flags(&["--external"]).asks(&["b/x"])
}

#[test]
fn what_head_says_is_believed_only_where_it_is_good_news() {
    let mut rows: Vec<Row> = [400, 401, 403, 404, 405, 406, 410, 418, 500, 501, 502, 503, 504, 520]
        .into_iter()
        .map(|status| {
            leaf("an error to HEAD, and a page to GET")
                .on("HEAD b/x", status.to_string())
                .on("GET b/x", "<p>")
        })
        .collect();
    rows.extend([
        leaf("HEAD leads in a loop").on("HEAD b/x", "302 /x").on("GET b/x", "<p>"),
        leaf("HEAD leads to an error").on("HEAD b/x", "302 /err").on("GET b/x", "<p>").never(&["b/err"]),
        leaf("HEAD is not answered").on_silent("HEAD b/x").on("GET b/x", "<p>").flags(&["--timeout", "1"]),
        leaf("HEAD is hung up on").on("HEAD b/x", "").on("GET b/x", "<p>"),
        leaf("HEAD is answered with garbage").on("HEAD b/x", "garbage\r\n\r\n").on("GET b/x", "<p>"),
        leaf("HEAD is answered with a body (RFC 9112 §6.3)")
            .on("HEAD b/x", answer("200 OK", "", "<p>a body that has no place here")),
        leaf("HEAD is answered in chunks without one")
            .on("HEAD b/x", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"),
        leaf("HEAD announces a packed body and has none").on(
            "HEAD b/x",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        ),
        leaf("HEAD is answered without content (204)")
            .on("HEAD b/x", "HTTP/1.1 204 -\r\nConnection: close\r\n\r\n"),
        leaf("an error to GET as well")
            .on("HEAD b/x", "405")
            .on("GET b/x", "404")
            .exits(&[1])
            .says("404 Not Found"),
        leaf("GET is not read to its end: an endless body is alive")
            .on("HEAD b/x", "405")
            .on("GET b/x", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n<p>"),
        leaf("a page whose redirect ends in an error is dead, whatever HEAD says")
            .on("b/x", "302 /err")
            .exits(&[1])
            .says("404"),
    ]);
    check(rows);
}
