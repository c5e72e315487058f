//! Text of strangers, where it is shown: nothing in it is obeyed.

use crate::row::{Row, answer, check, row};

#[test]
fn what_a_site_sends_is_shown_and_not_obeyed() {
    let nasty = "\u{1b}[31m\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{200e}\u{feff}\u{ad}\u{2060}\u{e0041}";
    let obeyed = [
        "\u{1b}",
        "\u{7}",
        "\u{9b}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200e}",
        "\u{feff}",
        "\u{ad}",
        "\u{2060}",
        "\u{e0041}",
    ];
    let shown = |mut row: Row| {
        for text in obeyed {
            row = row.lacks(text);
        }
        row
    };
    let mut rows = Vec::new();
    for format in ["text", "json", "csv", "html", "markdown", "github", "junit", "sarif"] {
        let html = format!(
            "<a href='http://[{nasty}'>{nasty}</a><a href='x{nasty}:y'></a><a href=/lost>{nasty}</a>"
        );
        rows.push(shown(
            row("in a link and its text")
                .on("/", answer("200 -", "Content-Type: text/html; charset=utf-8\r\n", html))
                .flags(&["--format", format])
                .exits(&[1]),
        ));
        rows.push(
            row("a line feed in a link ends no line")
                .on("/", "<a href='http://[\n::error::x'>\n::error::y</a>")
                .flags(&["--format", format])
                .exits(&[1])
                .lacks("\n::error::x")
                .lacks("\n::error::y"),
        );
    }
    rows.extend([
        shown(row("in a reason, a type and a header").on("/", "<a href=/x><a href=/y>").on("/x", format!("HTTP/1.1 404 {nasty}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).on("/y", format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", nasty.replace(['\u{1b}', '\u{7}'], ""))).exits(&[0, 1])),
        shown(row("in a Location that is no URL").on("/", "<a href=/x>").on("/x", format!("302 http://[{}", nasty.replace(['\u{1b}', '\u{7}'], ""))).exits(&[1])),
        shown(row("in the name of a state").on("/", "<a href=/x>").flags(&["--state", &format!("/nonexistent/{nasty}")]).exits(&[2])),
        shown(row("in the name of a file to go on from").start("--resume").flags(&[&format!("/nonexistent/{nasty}")]).exits(&[2])),
        shown(row("in an argument").flags(&[&format!("--x{nasty}")]).exits(&[2])),
        shown(row("in a start").start(&format!("http://[{nasty}")).exits(&[2])),
        row("a cell that begins like a formula is none").on("/", "<a href=/lost>=1+1</a><a href=/lost2>@x</a><a href=/lost3>-1</a><a href=/lost4>+1</a>").flags(&["--format", "csv"]).exits(&[1]).lacks(",=1").lacks(",@x").lacks(",-1").lacks(",+1"),
        row("nor one with a mark or white space before it").on("/", "<a href=/lost>\t=1+1</a><a href=/lost2>\u{ff1d}1+1</a>").flags(&["--format", "csv"]).exits(&[1]).lacks(",=1").lacks(",\t=1").lacks(",\u{ff1d}1"),
        row("markup in a text is text").on("/", "<a href='/lost?<script>'>&lt;script>alert(1)&lt;/script></a>").flags(&["--format", "html"]).exits(&[1]).lacks("<script>alert(1)"),
    ]);
    check(rows);
}
