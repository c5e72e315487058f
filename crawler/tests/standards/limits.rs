//! Hosts that ask to be left alone (RFC 9110 §10.2.3, RFC 6585 §4).

use crate::row::{Row, answer, check, row};

fn busy(why: &'static str, status: u16, after: &str) -> Row {
    row(why)
        .on("/", "<a href=/x>")
        .on_first("/x", answer(&format!("{status} -"), &format!("Retry-After: {after}\r\n"), ""))
        .on("/x", "<p>")
        .flags(&["--retries", "1"])
}

#[test]
fn a_host_that_says_when_is_asked_then_and_not_for_ever() {
    let given_up = |why, after| busy(why, 503, after).exits(&[1]).says("503");
    check(vec![
        busy("no seconds", 429, "0"),
        busy("a second", 503, "1"),
        busy("a date that is past", 429, "Thu, 01 Jan 1970 00:00:00 GMT"),
        busy("a negative number is none, so it is asked after a while (§10.2.3)", 503, "-1"),
        busy("nor is a sentence", 503, "later"),
        busy("nor is a fraction", 503, "1.5"),
        given_up("an hour is longer than it waits", "3600"),
        given_up("so is a number that no clock has", "99999999999999999999999"),
        busy("two headers, of which the first counts", 429, "0\r\nRetry-After: 3600"),
        row("a robots.txt that says when is asked then")
            .on("/", "<a href=/x>")
            .asks(&["/x"])
            .on_first("/robots.txt", answer("503 -", "Retry-After: 0\r\n", ""))
            .on("/robots.txt", "text/plain: User-agent: *\nDisallow: /no")
            .flags(&["--retries", "1"]),
        row("what stays is not asked again")
            .on("/", "<a href=/x>")
            .on_first("/x", "500")
            .on("/x", "<p>")
            .flags(&["--retries", "3"])
            .exits(&[1]),
        row("nor is what is not there")
            .on("/", "<a href=/x>")
            .on_first("/x", "404")
            .on("/x", "<p>")
            .flags(&["--retries", "3"])
            .exits(&[1]),
        row("nor is what is not implemented")
            .on("/", "<a href=/x>")
            .on_first("/x", "501")
            .on("/x", "<p>")
            .flags(&["--retries", "3"])
            .exits(&[1]),
        row("nor is what may not be seen")
            .on("/", "<a href=/x>")
            .on_first("/x", "403")
            .on("/x", "<p>")
            .flags(&["--retries", "3"])
            .exits(&[0, 1]),
        row("a gateway's trouble is asked again")
            .on("/", "<a href=/x>")
            .on_first("/x", "502")
            .on("/x", "<p>")
            .flags(&["--retries", "1"]),
        row("a body that broke off is asked again")
            .on("/", "<a href=/x>")
            .on_first("/x", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<p>")
            .on("/x", "<p>")
            .flags(&["--retries", "1"]),
        row("a connection that broke is made again")
            .on("/", "<a href=/x>")
            .on_first("/x", "")
            .on("/x", "<p>")
            .flags(&["--retries", "1"]),
    ]);
}
