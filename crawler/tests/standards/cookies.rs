//! Cookies (RFC 6265).

use crate::row::{Row, answer, check, row};

const HTML: &str = "Content-Type: text/html\r\n";

/// `/` sets cookies and links to `/next`, which is told what is kept.
fn setting(why: &'static str, cookies: &[&str]) -> Row {
    let set: String = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
    row(why).on("/", answer("200 -", &format!("{HTML}{set}"), "<a href=/next>")).asks(&["/next"])
}

#[test]
fn cookies_are_kept_and_sent_as_rfc_6265_has_it() {
    check(vec![
        row("a page that sets a cookie and leads to itself is alive if it answers with the cookie")
            .on("/", "<a href=/c>")
            .on_told("/c", "cookie: seen=1", "<p>")
            .on("/c", answer("302 -", "Location: /c\r\nSet-Cookie: seen=1\r\n", "")),
        row("two pages that lead to each other until a cookie is set are alive")
            .on("/", "<a href=/p>")
            .on_told("/p", "seen=1", "<p>")
            .on("/p", "302 /q")
            .on("/q", answer("302 -", "Location: /p\r\nSet-Cookie: seen=1\r\n", "")),
        row(
            "a page that counts to three in a cookie is alive: browsers follow twenty redirects (Fetch §4.4)",
        )
        .on("/", "<a href=/n>")
        .on_told("/n", "n=3", "<p>")
        .on_told("/n", "n=2", answer("302 -", "Location: /n\r\nSet-Cookie: n=3\r\n", ""))
        .on_told("/n", "n=1", answer("302 -", "Location: /n\r\nSet-Cookie: n=2\r\n", ""))
        .on("/n", answer("302 -", "Location: /n\r\nSet-Cookie: n=1\r\n", "")),
        row("a page that sets another cookie each time and leads to itself is a loop and ends")
            .on("/", "<a href=/n>")
            .on("/n", answer("302 -", "Location: /n\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n", ""))
            .exits(&[1])
            .says("redirect loop"),
        setting(
            "a domain that the host is not in makes a cookie void (§5.3, step 6)",
            &["a=1; Domain=b.test"],
        )
        .untold("a", "Cookie:"),
        setting("a domain is not for another host that is in it, either", &["a=1; Domain=127.0.0.2"])
            .on("/next", "<a href={b}/x>")
            .flags(&["--external"])
            .asks(&["b/x"])
            .untold("b", "Cookie:"),
        setting("a cookie of the host's own domain is kept (§5.1.3)", &["a=1; Domain=127.0.0.1"])
            .told("/next", "Cookie: a=1"),
        setting("an empty domain is none (§5.2.3)", &["a=1; Domain="]).told("/next", "Cookie: a=1"),
        setting("a cookie for secure connections is not sent over others (§5.4)", &["a=1; Secure", "b=2"])
            .told("/next", "Cookie: b=2")
            .untold("/next", "a=1"),
        setting("a path that ends in a slash is not the path without it (§5.1.4)", &["a=1; Path=/x/"])
            .on("/next", "<a href=/x><a href=/x/y><a href=/xy>")
            .asks(&["/x", "/x/y", "/xy"])
            .told("/x/y", "a=1")
            .untold("/x", "a=1")
            .untold("/xy", "a=1"),
        setting("a path that begins with no slash is the folder of the page (§5.2.4)", &["a=1; Path=x"])
            .told("/next", "a=1"),
        setting("a lifetime of no seconds takes a cookie back (§5.2.2)", &["a=1", "b=2", "a=; Max-Age=0"])
            .told("/next", "Cookie: b=2")
            .untold("/next", "a="),
        setting(
            "a lifetime holds before a date, in either order (§5.3, step 3)",
            &[
                "a=1; Max-Age=900; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=900",
                "c=3; Max-Age=-1; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            ],
        )
        .told("/next", "a=1")
        .told("/next", "b=2")
        .untold("/next", "c=3"),
        setting(
            "a date of any century takes a cookie back once it is past (§5.1.1)",
            &[
                "a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
                "b=2; expires=Wednesday, 21-Oct-15 07:28:00 GMT",
                "c=3; Expires=Wed Oct 21 07:28:00 2015",
                "d=4; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
                "e=5; Expires=whenever",
            ],
        )
        .untold("/next", "a=1")
        .untold("/next", "b=2")
        .untold("/next", "c=3")
        .told("/next", "d=4")
        .told("/next", "e=5"),
        setting("the longer path comes first (§5.4, step 2)", &["a=1; Path=/", "b=2; Path=/next"])
            .told("/next", "Cookie: b=2; a=1"),
        setting("there is one Cookie header, the user's own cookies in it (§5.4)", &["a=1"])
            .flags(&["--header", "Cookie: own=2"])
            .told("/next", "Cookie: own=2; a=1"),
        setting("a value keeps its quotes and what follows another equals sign (§5.2)", &["a=\"x=y\""])
            .told("/next", "Cookie: a=\"x=y\""),
        setting(
            "a value beyond ASCII is sent back or not, and spoils no request (§4.1.1)",
            &["a=caf\u{e9}", "b=2"],
        )
        .told("/next", "b=2"),
        setting("a cookie without a name or a value is none", &["=x", "y", "; Path=/", "a=1"])
            .told("/next", "Cookie: a=1"),
        setting(
            "an attribute that nobody knows is skipped",
            &["a=1; Loom; Warp=2; HttpOnly; SameSite=Strict"],
        )
        .told("/next", "a=1"),
        setting("a cookie of robots.txt is one of its origin", &[])
            .on("/robots.txt", answer("200 -", "Set-Cookie: r=1\r\n", ""))
            .told("/next", "Cookie: r=1"),
    ]);
}
