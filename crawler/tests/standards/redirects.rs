//! Answers that lead elsewhere (RFC 9110 §10.2.2 and §15.4, Fetch §4.4).

use crate::row::{Row, answer, check, row};

/// A page whose link leads on to `to`.
fn leads(why: &'static str, to: &str) -> Row {
    row(why).on("/", "<a href=/d/go>").on("/d/go", format!("302 {to}"))
}

#[test]
fn a_redirect_leads_where_a_browser_would_go() {
    let chain = |count: usize| {
        (0..count).fold(
            row("browsers follow twenty redirects and no more (Fetch §4.4)").on("/", "<a href=/r0>"),
            |row, n| row.on(&format!("/r{n}"), format!("302 /r{}", n + 1)),
        )
    };
    let mut latin = answer("302 -", "Location: /caf?\r\n", "");
    let at = latin.iter().position(|&byte| byte == b'?').unwrap();
    latin[at] = 0xe9;
    check(vec![
        leads("a relative location (RFC 9110 §10.2.2)", "x").asks(&["/d/x"]),
        leads("above the folder", "../x").asks(&["/x"]),
        leads("a query alone", "?x=1").on("/d/go?x=1", "<p>").asks(&["/d/go?x=1"]),
        leads("a space", "/a b").asks(&["/a%20b"]),
        leads("characters beyond ASCII", "/é").asks(&["/%C3%A9"]),
        leads("a backslash, which is a slash (URL §4.4)", "\\x").asks(&["/x"]),
        leads("a tab within, which is dropped (URL §4.4)", "/a\tb").asks(&["/ab"]),
        leads("percent signs stay as they are", "/%7e%zz").asks(&["/%7e%zz"]),
        leads("an empty query stays", "/x?").asks(&["/x?"]).never(&["/x"]),
        leads("a fragment is not sent", "/x#y").asks(&["/x"]),
        leads("a location without its scheme (RFC 3986 §4.2)", "{//b}/x")
            .flags(&["--external"])
            .asks(&["b/x"]),
        row("bytes that are no UTF-8 are bytes of the URL")
            .on("/", "<a href=/go>")
            .on("/go", latin)
            .asks(&["/caf%E9"]),
        leads("to another scheme: a browser opens the program for it", "mailto:a@b.test").says("not http"),
        leads("to a script: no browser goes there", "javascript:alert(1)")
            .exits(&[1])
            .says("redirect to nowhere"),
        leads("to data: no browser goes there (Fetch §4.4)", "data:text/html,x").exits(&[1]),
        leads("to what is no URL", "http://[").exits(&[1]).says("redirect to nowhere"),
        leads("to a part of itself, which is not sent", "#x").exits(&[1]).says("redirect loop"),
        leads("to a name with a slip in its scheme", "htp://x/").exits(&[1]).says("redirect to nowhere"),
        leads("to a file of the reader's", "file:///etc/passwd").exits(&[1]).says("redirect to nowhere"),
        leads("with white space around it", "  /x  ").asks(&["/x"]),
        leads("to itself", "go").exits(&[1]).says("redirect loop"),
        leads("to an empty location, which is itself", "").exits(&[1]),
    ]);
    let mut rows: Vec<Row> = [301, 302, 303, 307, 308]
        .into_iter()
        .map(|status| {
            row("the five that lead on")
                .on("/", "<a href=/go>")
                .on("/go", format!("{status} /x"))
                .asks(&["/x"])
        })
        .collect();
    rows.extend([300, 304].into_iter().map(|status| {
        row("the others do not")
            .on("/", "<a href=/go>")
            .on("/go", format!("HTTP/1.1 {status} -\r\nLocation: /x\r\nConnection: close\r\n\r\n"))
            .never(&["/x"])
    }));
    rows.extend([305, 306, 399].into_iter().map(|status| {
        row("nor do those that mean nothing")
            .on("/", "<a href=/go>")
            .on("/go", format!("{status} /x"))
            .exits(&[0, 1])
            .never(&["/x"])
    }));
    rows.extend([
        chain(20).says("No dead links").asks(&["/r20"]),
        chain(21).exits(&[1]).says("too many redirects"),
        row("a redirect that says nothing of where is dead, and its status is told")
            .on("/", "<a href=/go>")
            .on("/go", "302")
            .exits(&[1])
            .says("302 Found"),
        row("a page of ours that leads to a dead page elsewhere is dead")
            .on("/", "<a href=/go>")
            .on("/go", "302 {b}/dead")
            .flags(&["--external"])
            .exits(&[1])
            .says("/go"),
        row("a redirect is no step away from the start")
            .on("/", "302 /x")
            .flags(&["--depth", "0"])
            .asks(&["/x"]),
        row("what moved for good is told")
            .on("/", "<a href=/old>")
            .on("/old", "301 /x")
            .asks(&["/x"])
            .says("/old"),
        row("a redirect of what is only looked at keeps to that")
            .on("/", "<img src=/i>")
            .on("/i", "302 /j")
            .on("/j", "<a href=/no>")
            .flags(&["--assets"])
            .never(&["/no"]),
        row("one that leads in a circle by way of another host is a loop")
            .on("/", "<a href=/go>")
            .on("/go", "302 {b}/x")
            .on("b/x", "302 {a}/go")
            .flags(&["--external"])
            .exits(&[1])
            .says("redirect loop"),
        row("one to another host and back is alive, and what is there is read")
            .on("/", "<a href=/go>")
            .on("/go", "302 {b}/x")
            .on("b/x", "302 {a}/end")
            .on("/end", "<a href=/more>")
            .flags(&["--external"])
            .asks(&["/more"]),
    ]);
    check(rows);
}
