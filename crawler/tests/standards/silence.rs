//! Runs that found nothing wrong because they looked at nothing: they say so.

use crate::row::{answer, check, row};

const HTML: &str = "Content-Type: text/html\r\n";
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03broken";

#[test]
fn a_run_that_looked_at_nothing_says_so() {
    let not_looked_at = |why| row(why).exits(&[5]).says("NOT LOOKED AT").lacks("No dead links");
    check(vec![
        not_looked_at("robots.txt disallows the start (RFC 9309 §2.2.2)")
            .on("/", "<p>")
            .on("/robots.txt", "text/plain: User-agent: *\nDisallow: /")
            .never(&["/"]),
        not_looked_at("robots.txt is out of order (RFC 9309 §2.3.1.4)")
            .on("/", "<p>")
            .on("/robots.txt", "503")
            .says("503")
            .lacks("robots.txt says no"),
        not_looked_at("the start leads out of the prefix")
            .start("/docs/")
            .on("/docs/", "302 /en/docs/")
            .on("/en/docs/", "<a href=/dead>")
            .flags(&["--prefix", "/docs/"])
            .never(&["/dead"]),
        not_looked_at("a start without content (204, RFC 9110 §15.3.5)")
            .on("/", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
        not_looked_at("a start that resets the view (205, RFC 9110 §15.3.6)").on("/", "205"),
        not_looked_at("a start of which only a part was sent, unasked (206, RFC 9110 §15.3.7)")
            .on("/", answer("206 -", &format!("{HTML}Content-Range: bytes 0-2/9\r\n"), "<p>")),
        not_looked_at("a start that is as it was, though nobody has it (304)")
            .on("/", "HTTP/1.1 304 -\r\nConnection: close\r\n\r\n")
            .lacks("text/html"),
        not_looked_at("a start that is a picture").on("/", "image/png: x"),
        not_looked_at("a start that is plain text").on("/", "text/plain: <a href=/lost>").never(&["/lost"]),
        not_looked_at("a start of no type that is no HTML (MIME Sniffing §7.1)")
            .on("/", answer("200 OK", "", "\u{89}PNG\r\n\u{1a}\n\0\0\0\0 <a href=/lost>"))
            .never(&["/lost"]),
        not_looked_at("a start of two types, of which the last counts (Fetch, extract a MIME type)")
            .on("/", answer("200 OK", "Content-Type: text/html\r\nContent-Type: text/plain\r\n", "<p>")),
        not_looked_at("a start that is packed in a way that was not asked for")
            .on("/", answer("200 OK", &format!("{HTML}Content-Encoding: br\r\n"), "\u{1}\u{2}"))
            .says("Content-Encoding"),
        not_looked_at("a start whose host has had enough").on("/", "429").says("429"),
        not_looked_at("a sitemap that lists nothing").start("/map.xml").on("/map.xml", "text/xml: <urlset/>"),
        not_looked_at("a start of XML that is no sitemap")
            .start("/data.xml")
            .on("/data.xml", "text/xml: <data><a href='/lost'/></data>"),
        row("a packed sitemap that is broken")
            .start("/map.xml.gz")
            .on("/map.xml.gz", answer("200 OK", "Content-Type: application/gzip\r\n", GZIP))
            .exits(&[1, 5])
            .lacks("No dead links"),
    ]);
}

#[test]
fn what_was_not_looked_at_is_told_beside_no_dead_links() {
    check(vec![
        row("a page that links to its own parts only")
            .on("/", "<a href=#x><a href='#'>")
            .flags(&["--quiet"])
            .says("No dead links")
            .says("no page links to another"),
        row("a page that is empty")
            .on("/", answer("200 OK", HTML, ""))
            .flags(&["--quiet"])
            .says("/ is empty"),
        row("a page without links").on("/", "<p>hello").says("no page links to another"),
        row("links that were all left out")
            .on("/", "<a href={b}/x><a href=/y>")
            .flags(&["--exclude", "*/y", "--quiet"])
            .says("No dead links")
            .says("none of the 2 linked URLs was looked at"),
        row("links that robots.txt disallows, all of them")
            .on("/", "<a href=/x/1>")
            .on("/robots.txt", "text/plain: User-agent: *\nDisallow: /x/")
            .says("none of the 1 linked URLs was looked at"),
        row("a pattern to include that matches nothing")
            .on("/", "<a href=/y>")
            .flags(&["--include", "*/docs/*", "--quiet"])
            .says("The pattern */docs/* matched nothing"),
        row("links beyond the depth")
            .on("/", "<a href=/x>")
            .flags(&["--depth", "0"])
            .says("none of the 1 linked URLs was looked at"),
        row("links to programs only").on("/", "<a href=mailto:a@b.test>").says("no page links to another"),
        row("links to other hosts, unasked")
            .on("/", "<a href={b}/x>")
            .says("none of the 1 linked URLs was looked at"),
        row("a page of scripts only")
            .on("/", "<div id=root></div><script src=/app.js></script>")
            .says("no page links to another"),
        row("also for programs")
            .on("/", "<p>")
            .flags(&["--format", "github"])
            .says("::warning")
            .says("no page links to another"),
        row("a link that is looked at is no such case")
            .on("/", "<a href=/y><a href={b}/x>")
            .asks(&["/y"])
            .says("No dead links")
            .lacks("looked at.\nnone of"),
        row("a sitemap that robots.txt names and that is a page instead")
            .on("/", "<a href=/y>")
            .asks(&["/y"])
            .on("/robots.txt", "text/plain: Sitemap: /map.xml")
            .on("/map.xml", "<!DOCTYPE html><title>not found</title><p>not found")
            .flags(&["--sitemaps", "--quiet"])
            .exits(&[0, 1, 5])
            .says("/map.xml"),
        row("a sitemap that robots.txt names and that cannot be unpacked")
            .on("/", "<a href=/y>")
            .asks(&["/y"])
            .on("/robots.txt", "text/plain: Sitemap: /map.xml.gz")
            .on("/map.xml.gz", answer("200 OK", "Content-Type: application/gzip\r\n", GZIP))
            .flags(&["--sitemaps", "--quiet"])
            .exits(&[0, 1])
            .says("/map.xml.gz"),
        row("a sitemap that robots.txt names and that is missing")
            .on("/", "<p>")
            .on("/robots.txt", "text/plain: Sitemap: /map.xml")
            .flags(&["--sitemaps"])
            .exits(&[1])
            .says("/map.xml"),
    ]);
}

#[test]
fn a_start_that_breaks_off_or_is_refused_is_dead() {
    let dead = |why| row(why).exits(&[1]).lacks("No dead links");
    check(vec![
        dead("a body shorter than was announced (RFC 9112 §8)")
            .on("/", format!("HTTP/1.1 200 OK\r\n{HTML}Connection: close\r\nContent-Length: 99\r\n\r\n<p>")),
        dead("chunks without an end (RFC 9112 §8)")
            .on("/", format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\n3\r\n<p>\r\n")),
        dead("a head that breaks off").on("/", "HTTP/1.1 200 OK\r\nContent-Ty"),
        dead("no answer at all").on("/", ""),
        dead("401").on("/", "401"),
        dead("403").on("/", "403"),
        dead("500").on("/", "500"),
        dead("a start that leads to itself").on("/", "302 /").says("redirect loop"),
        dead("a name that means no machine").start("http://no-such-host.invalid/"),
    ]);
}
