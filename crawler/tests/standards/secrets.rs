//! Who is told a secret, and where it is shown (RFC 9110 §11.6.2 and §15.4, RFC 3986 §7.5).

use crate::row::{check, row};

const BEARER: [&str; 2] = ["--header", "Authorization: Bearer S3CRET"];
/// `me:S3CRET`, as RFC 7617 sends it.
const BASIC: &str = "Authorization: Basic bWU6UzNDUkVU";
const HTML: &str = "Content-Type: text/html\r\n";

#[test]
fn a_secret_reaches_its_origin_only() {
    check(vec![
        row("a header goes to the start's origin, and neither to a linked host nor to its robots.txt")
            .on("/", "<a href={b}/x><a href=/y>")
            .flags(&["--external", BEARER[0], BEARER[1], "--header", "Cookie: sid=S3CRET"])
            .asks(&["b/x", "b/robots.txt", "/y"])
            .told("/y", "sid=S3CRET")
            .told("/robots.txt", "Bearer S3CRET")
            .untold("b", "S3CRET"),
        row("a start that leads to another host takes no header along")
            .on("/", "302 {b}/x")
            .flags(&BEARER)
            .asks(&["b/x"])
            .told("a", "Bearer S3CRET")
            .untold("b", "S3CRET"),
        row("a header's value may be beyond ASCII (RFC 9110 §5.5)")
            .on("/", "<a href=/x>")
            .flags(&["--header", "X-Name: caf\u{e9}"])
            .asks(&["/x"]),
        row("another port is another origin (RFC 6454 §4)")
            .on("/", "<a href={c}/x>")
            .flags(&BEARER)
            .asks(&["c/x"])
            .untold("c", "S3CRET"),
        row("a robots.txt that leads to another host takes no header along")
            .on("/", "<p>")
            .on("/robots.txt", "302 {b}/r")
            .flags(&BEARER)
            .asks(&["b/r"])
            .untold("b", "S3CRET"),
        row("no page is told which page links to it (a query may be secret)")
            .start("/?token=S3CRET")
            .on("/?token=S3CRET", "<a href={b}/x><a href=/y>")
            .flags(&["--external"])
            .asks(&["b/x", "/y"])
            .untold("b", "S3CRET")
            .untold("/y", "Referer"),
        row("a user and a password in a link are for that origin only, as RFC 7617 sends them")
            .on("/", "<a href='{me@b}/x'><a href={c}/y>")
            .on_told("b/x", BASIC, "<p>")
            .flags(&["--external"])
            .asks(&["b/x", "c/y"])
            .untold("a", BASIC)
            .untold("c", BASIC),
    ]);
}

#[test]
fn a_password_in_a_url_is_used_and_never_shown() {
    let formats = ["text", "json", "csv", "html", "markdown", "github", "junit", "sarif"];
    let places = [
        ("a link", "<a href='LOGIN/lost'>", "--external"),
        ("the text of a link", "<a href='{b}/lost'>see LOGIN/lost here</a>", "--external"),
        ("the alternative text of a link", "<a href='{b}/lost'><img alt='LOGIN/lost'></a>", "--external"),
        ("a canonical link", "<link rel=canonical href='LOGIN/lost'>", "--external"),
        ("a refresh", "<meta http-equiv=refresh content='0;url=LOGIN/lost'>", "--external"),
        ("an image", "<img src='LOGIN/lost'>", "--assets"),
        ("a link without its scheme", "<a href='//me:S3CRET@127.0.0.2:1/'>", "--external"),
    ];
    let mut rows = Vec::new();
    for (n, (what, html, flag)) in places.into_iter().enumerate() {
        for format in [formats[n % 8], formats[(n + 3) % 8]] {
            let html = html.replace("LOGIN", "{me@b}");
            rows.push(
                row(what)
                    .on("/", html)
                    .flags(&["--external", flag, "--format", format])
                    .untold("a", BASIC)
                    .exits(&[1])
                    .lacks("S3CRET"),
            );
        }
    }
    rows.extend([
        row("of a start, also by its state")
            .start("{me@a}/")
            .on_told("/", BASIC, "<a href=/lost>")
            .on("/", "401")
            .flags(&["--format", "json"])
            .exits(&[1])
            .says("/lost")
            .lacks("S3CRET"),
        row("of a Location")
            .on("/", "<a href=/go>")
            .on("/go", "302 {me@b}/x")
            .on_told("b/x", BASIC, "<p>")
            .flags(&["--external", "--format", "json"])
            .lacks("S3CRET"),
        row("of a Location that is no URL")
            .on("/", "<a href=/go>")
            .on("/go", "302 http://me:S3CRET@[/")
            .exits(&[1])
            .lacks("S3CRET"),
        row("of a Location of another scheme")
            .on("/", "<a href=/go>")
            .on("/go", "302 javascript:location='//me:S3CRET@a.test/'")
            .exits(&[1])
            .lacks("S3CRET"),
        row("of a sitemap's page, and of a sitemap that robots.txt names")
            .on("/", "<p>")
            .on("/robots.txt", "text/plain: Sitemap: {me@a}/map.xml")
            .on("/map.xml", "text/xml: <urlset><url><loc>{me@a}/lost</loc></url></urlset>")
            .flags(&["--sitemaps", "--format", "json"])
            .exits(&[1])
            .says("/lost")
            .told("/lost", BASIC)
            .lacks("S3CRET"),
        row("of what is no URL or of another scheme")
            .on(
                "/",
                "<a href='http://me:S3CRET@['><a href='//me:S3CRET@h:99999/'><a href='ftp://me:S3CRET@h/'>\
                 <a href='view-source:http://me:S3CRET@h/'><a href='hhttps://me:S3CRET@h/'>\
                 <a href='http:\\\\me:S3CRET@['><a href='feed:http://me:S3CRET@h/'>",
            )
            .flags(&["--format", "json"])
            .exits(&[1])
            .lacks("S3CRET"),
        row("of a proxy from the environment, in the failure that names it")
            .start("http://loom.test/")
            .variable("HTTP_PROXY", "http://me:S3CRET@127.0.0.1:1")
            .variable("http_proxy", "http://me:S3CRET@127.0.0.1:1")
            .variable("NO_PROXY", "")
            .exits(&[1])
            .says("127.0.0.1:1")
            .lacks("S3CRET"),
        row("of a header that a server sends back")
            .on("/", crate::row::answer("200 -", HTML, "<a href='/?Bearer'>"))
            .asks(&["/?Bearer"])
            .flags(&BEARER)
            .lacks("S3CRET"),
        row("of a pattern that matches nothing")
            .on("/", "<a href=/x>")
            .flags(&["--exclude", "http://me:S3CRET@a.test/*"])
            .asks(&["/x"])
            .says("matched nothing")
            .lacks("S3CRET"),
        row("of a link in a frame's document and in a Link header")
            .on(
                "/",
                crate::row::answer(
                    "200 -",
                    &format!("{HTML}Link: <http://me:S3CRET@[>; rel=next\r\n"),
                    "<iframe srcdoc='<a href={me@b}/x>{me@b}/x</a>'></iframe>",
                ),
            )
            .flags(&["--external", "--format", "json"])
            .asks(&["b/x"])
            .exits(&[1])
            .lacks("S3CRET"),
        row("of a bad origin on the command line")
            .flags(&["--header-for", "ftp://x X-Key: S3CRET"])
            .exits(&[2])
            .lacks("S3CRET"),
        row("of a start that is no URL").start("http://me:S3CRET@[/").exits(&[2]).lacks("S3CRET"),
    ]);
    check(rows);
}
