//! Which URL a text means (WHATWG URL, RFC 3986).

use crate::row::{Row, check, row};

fn link(why: &'static str, href: &str) -> Row {
    row(why).on("/", format!("<a href=\"{href}\">")).on("/d/", format!("<a href=\"{href}\">"))
}

#[test]
fn a_url_is_asked_for_as_a_browser_would() {
    check(vec![
        link("an empty query is one (§4.5)", "/x?").asks(&["/x?"]).never(&["/x"]),
        link("and is kept apart from none", "/x").on("/", "<a href=/x><a href='/x?'>").asks(&["/x", "/x?"]),
        link("a fragment is not sent", "/x#").asks(&["/x"]),
        link("percent triplets stay as they are written", "/%7Ea/%2f%41").asks(&["/%7Ea/%2f%41"]),
        link("and so does what is none", "/%/%zz?%").asks(&["/%/%zz?%"]),
        link("parameters of a segment", "/x;v=1.1/y,z").asks(&["/x;v=1.1/y,z"]),
        link("backslashes are slashes", "\\d\\x").asks(&["/d/x"]),
        link("the base's scheme without slashes is relative", "http:x").start("/d/").asks(&["/d/x"]),
        link("and with one it is relative, too", "http:/x").start("/d/").asks(&["/x"]),
        link("dots are taken out, also encoded ones", "/a/%2e%2E/./b/../x").asks(&["/x"]),
        link("but not above the root", "/../../x").asks(&["/x"]),
        link("characters that must be encoded are", "/a b|c`{d}^\u{7f}é")
            .asks(&["/a%20b|c%60%7Bd%7D%5E%7F%C3%A9"]),
        link("and others in a query", "/?a b'`{é}").asks(&["/?a%20b%27`{%C3%A9}"]),
        link("brackets and colons of a path stay", "/[a]:b").asks(&["/[a]:b"]),
        link("two slashes in a path stay", "/a//b").asks(&["/a//b"]),
        link("an encoded line feed stays", "/a%0Ab").asks(&["/a%0Ab"]),
        link("a long one is asked for whole", &format!("/{}", "x".repeat(8_000)))
            .on(&format!("/{}", "x".repeat(8_000)), "<p>"),
        link("a host's final dot is of no account here", "http://127.0.0.1.:1/")
            .exits(&[0, 1])
            .lacks("not a URL"),
        link("a number is an address (§3.5)", "http://2130706434:1/x")
            .flags(&["--external"])
            .exits(&[1])
            .says("127.0.0.2:1/x"),
        link("an international host is in Punycode (§3.3)", "http://bücher.invalid/")
            .says("xn--bcher-kva.invalid"),
        link("a query that is empty, of the page", "?").asks(&["/?"]),
        link("a tab in a scheme is dropped", "h\tttp:x").start("/d/").asks(&["/d/x"]),
        link("three slashes are two", "///127.0.0.2:1/x")
            .flags(&["--external"])
            .exits(&[1])
            .says("127.0.0.2:1/x"),
        link("so is one backslash more", "http:\\\\\\127.0.0.2:1\\x")
            .flags(&["--external"])
            .exits(&[1])
            .says("127.0.0.2:1/x"),
        link("a host in hexadecimal and with triplets", "http://0x7f.0.0.%32:1/x")
            .flags(&["--external"])
            .exits(&[1])
            .says("127.0.0.2:1/x"),
        link("zeros before a port", "http://127.0.0.2:00001/x")
            .flags(&["--external"])
            .exits(&[1])
            .says("127.0.0.2:1/x"),
        link("an at sign in a password", "//me:a@b@127.0.0.2:1/x")
            .flags(&["--external"])
            .exits(&[1])
            .says("127.0.0.2:1/x")
            .lacks("a@b"),
        link("an IPv6 address", "http://[0:0::1]:1/x").flags(&["--external"]).exits(&[1]).says("[::1]:1/x"),
        link("the default port is none", "http://loom.invalid:80/").says("loom.invalid/").lacks(":80"),
    ]);
}

#[test]
fn what_is_no_http_url_is_told_apart() {
    let mut rows: Vec<Row> = [
        "tel:1",
        "sms:1",
        "mailto:a@b.test",
        "javascript:void(0)",
        "JavaScript:x",
        "data:text/html,<a href=/no>",
        "blob:http://a.test/1",
        "about:blank",
        "file:///etc/passwd",
        "intent://x#Intent;end",
        "ftp://a.test/",
        "ws://a.test/",
        "magnet:?xt=1",
        "urn:isbn:1",
        "cid:x",
        "irc://a.test/",
        "news:a",
        "git+ssh://a.test/",
        "android-app://a/",
        "whatsapp://send",
        "skype:x",
        "xmpp:a@b.test",
        "gopher://a.test/",
        "chrome://x",
        "view-source:http://a.test/",
    ]
    .into_iter()
    .map(|href| link("a scheme that exists is not a dead link", href).lacks("not a URL").never(&["/no"]))
    .collect();
    rows.extend(
        [
            "hhttps://x.test/",
            "htp://x.test/",
            "http;//x",
            "ttp://x/",
            "htttp://x/",
            "https//:x",
            "http://",
            "https://?",
            "http://a:99999/",
            "http://[::1",
            "http://a b/",
            "http://%zz/",
            "//",
            "http://a<b/",
        ]
        .map(|href| link("a slip of the hand is one", href).exits(&[1])),
    );
    check(rows);
}
