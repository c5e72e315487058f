//! Parts of pages (HTML §7.4.6.3).

use crate::row::{Row, answer, check, row};

/// A page that links to `fragment` of `/x`, which is `html`.
fn part(why: &'static str, fragment: &str, html: &str) -> Row {
    row(why)
        .on(
            "/",
            answer(
                "200 -",
                "Content-Type: text/html; charset=utf-8\r\n",
                format!("<a href=\"/x{fragment}\">"),
            ),
        )
        .on("/x", answer("200 -", "Content-Type: text/html; charset=utf-8\r\n", html))
        .flags(&["--fragments"])
}

#[test]
fn a_part_is_found_as_a_browser_finds_it() {
    let missing = |why, fragment: &str, html: &str| {
        part(why, fragment, html).exits(&[1]).says("no such part of the page")
    };
    check(vec![
        part("an id", "#a", "<p id=a>"),
        part("on any element, also of a drawing", "#a", "<svg><g id=a></svg>"),
        part("an anchor's name", "#a", "<a name=a>"),
        missing("no other element's name", "#a", "<p name=a><input name=a>"),
        missing("a part that is not there", "#a", "<p id=b>"),
        missing("case counts", "#A", "<p id=a>"),
        part("an id is compared as it is written first", "#a%20b", "<p id='a%20b'>"),
        part("and then what it stands for", "#a%20b", "<p id='a b'>"),
        part("characters beyond ASCII", "#é", "<p id=é>"),
        part("and their triplets", "#%C3%A9", "<p id=é>"),
        part("the page itself", "#", "<p>"),
        part("its top, in any case", "#ToP", "<p>"),
        part("a text to look for", "#:~:text=x", "<p>"),
        part("a part and a text", "#a:~:text=x", "<p id=a>"),
        missing("a missing part and a text", "#b:~:text=x", "<p id=a>"),
        part("quotes and slashes", "#%27a/b%27", "<p id=\"'a/b'\">"),
        part("entities in an id", "#a&amp;b", "<p id='a&amp;b'>"),
        missing("what is in a comment is not there", "#a", "<!-- <p id=a> -->"),
        missing("nor what is in a template", "#a", "<template><p id=a></template>"),
        part("a percent sign that encodes nothing", "#100%", "<p id='100%'>"),
        part("and one that is encoded", "#100%25", "<p id='100%'>"),
        part("triplets in lower case", "#caf%c3%a9", "<p id='caf\u{e9}'>"),
        missing("a plus is no space", "#a+b", "<p id='a b'>"),
        part("a second number sign is part of it (URL §4.4)", "#a#b", "<p id='a#b'>"),
        part("what only a script understands", "#/route/1", "<p>"),
        part("of two the first", "#a", "<p id=a><p id=a>"),
        part("a template itself is there", "#a", "<template id=a></template>"),
        part("a part of a part of XHTML", "#a", "<svg><g><a id=a></a></g></svg>"),
        missing("a frame's document has parts of its own", "#a", "<iframe srcdoc='<p id=a>'></iframe>"),
        missing("nor in a script", "#a", "<script>'<p id=a>'</script>"),
        missing("an empty name is none", "#%20", "<a name=''><p id=''>"),
        row("through a redirect the part stays, and is missed")
            .on("/", "<a href=/go#b>")
            .on("/go", "302 /y")
            .on("/y", "<p id=a>")
            .flags(&["--fragments"])
            .exits(&[1])
            .says("#b"),
        row("through a redirect the part stays, and is there")
            .on("/", "<a href=/go#a>")
            .on("/go", "302 /y")
            .on("/y", "<p id=a>")
            .flags(&["--fragments"]),
        row("a redirect with a part of its own takes its place")
            .on("/", "<a href=/go#b>")
            .on("/go", "302 /y#a")
            .on("/y", "<p id=a>")
            .flags(&["--fragments"]),
        row("a page's own parts")
            .on("/", "<a href=#a><a href=#b><p id=a>")
            .flags(&["--fragments"])
            .exits(&[1])
            .says("#b")
            .lacks("#a"),
        row("with a base they are the base's")
            .on("/", "<base href=/y><a href=#a>")
            .on("/y", "<p id=a>")
            .flags(&["--fragments"]),
        row("what is no page has parts of its own kind")
            .on("/", "<a href='/x.pdf#page=2'>")
            .on("/x.pdf", "application/pdf: x")
            .flags(&["--fragments"]),
        row("XHTML")
            .on("/", "<a href=/x#a>")
            .on("/x", answer("200 -", "Content-Type: application/xhtml+xml\r\n", "<html><p id='a'/></html>"))
            .flags(&["--fragments"]),
        row("not unless it is asked for").on("/", "<a href=/x#b>").on("/x", "<p id=a>"),
        row("a part of a dead page is a dead page once")
            .on("/", "<a href=/lost#a>")
            .flags(&["--fragments"])
            .exits(&[1])
            .lacks("no such part"),
    ]);
}
