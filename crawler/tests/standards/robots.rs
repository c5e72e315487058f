//! What robots.txt allows (RFC 9309).

use crate::row::{Row, answer, check, row};

/// A site whose robots.txt is this, and which links to `/a` and `/b`.
fn rules(why: &'static str, robots: &str) -> Row {
    row(why).on("/", "<a href=/a><a href=/b>").on("/robots.txt", format!("text/plain: {robots}"))
}

fn disallows_a(why: &'static str, robots: &str) -> Row {
    rules(why, robots).asks(&["/b"]).never(&["/a"])
}

#[test]
fn rules_are_read_as_the_standard_has_them() {
    check(vec![
        disallows_a("a mark at the beginning", "\u{feff}User-agent: *\nDisallow: /a"),
        disallows_a("lines that end in a carriage return (§2.2)", "User-agent: *\rDisallow: /a\r"),
        disallows_a("and in both", "User-agent: *\r\nDisallow: /a\r\n"),
        disallows_a("names in any case, and white space", "  USER-AGENT :\t* \n  disallow  :  /a  "),
        disallows_a("comments (§2.2)", "User-agent: * # all\nDisallow: /a # a\n# Allow: /a"),
        disallows_a("several names for one group (§2.1)", "User-agent: x\nUser-agent: *\nDisallow: /a"),
        disallows_a("an empty line ends no group", "User-agent: *\n\nDisallow: /a"),
        disallows_a(
            "groups for one name are one (§2.2.1)",
            "User-agent: *\nDisallow: /c\n\nUser-agent: x\nDisallow: /b\n\nUser-agent: *\nDisallow: /a",
        ),
        disallows_a(
            "our own groups hold instead of those for all",
            "User-agent: *\nDisallow: /b\n\nUser-agent: selvedge-crawl\nDisallow: /a",
        ),
        disallows_a(
            "our name in any case (§2.2.1)",
            "User-agent: Selvedge-Crawl\nDisallow: /a\n\nUser-agent: *\nDisallow: /",
        ),
        disallows_a(
            "both of our own groups hold",
            "User-agent: selvedge-crawl\nDisallow: /c\n\nUser-agent: *\nDisallow: /b\n\nUser-agent: selvedge-crawl\nDisallow: /a",
        ),
        disallows_a(
            "the longest rule holds, wherever it stands (§2.2.2)",
            "User-agent: *\nDisallow: /a\nAllow: /",
        ),
        disallows_a("and in the other order", "User-agent: *\nAllow: /\nDisallow: /a"),
        rules("of two as long, the one that allows (§2.2.2)", "User-agent: *\nDisallow: /a\nAllow: /a")
            .asks(&["/a", "/b"]),
        rules("a rule is the beginning of a path (§2.2.2)", "User-agent: *\nDisallow: /a")
            .on("/", "<a href=/ab><a href=/a/b><a href=/c>")
            .asks(&["/c"])
            .never(&["/ab", "/a/b"]),
        rules("all but one", "User-agent: *\nDisallow: /\nAllow: /$\nAllow: /a$")
            .on("/", "<a href=/a><a href=/ab>")
            .asks(&["/a"])
            .never(&["/ab"]),
        disallows_a(
            "our name with a version, as some write it",
            "User-agent: selvedge-crawl/2.0\nDisallow: /a\n\nUser-agent: *\nDisallow: /b",
        ),
        disallows_a(
            "a name that ours begins with is another's (§2.2.1)",
            "User-agent: selvedge\nDisallow: /b\n\nUser-agent: *\nDisallow: /a",
        ),
        disallows_a(
            "so is one that begins with ours",
            "User-agent: selvedge-crawler\nDisallow: /b\n\nUser-agent: *\nDisallow: /a",
        ),
        disallows_a(
            "a delay that is no number delays nothing",
            "User-agent: *\nCrawl-delay: soon\nDisallow: /a",
        ),
        disallows_a(
            "a delay without end is bounded",
            "User-agent: x\nCrawl-delay: 99999999999\n\nUser-agent: *\nDisallow: /a",
        ),
        disallows_a("a byte that is none", "User-agent: *\nDisallow: /x\0y\nDisallow: /a"),
        disallows_a("two colons", "User-agent: *\nDisallow: /b:c\nDisallow: /a"),
        rules("an empty rule allows all", "User-agent: *\nDisallow:").asks(&["/a", "/b"]),
        disallows_a(
            "a rule that it does not know is skipped (§2.2.4)",
            "User-agent: *\nCrawl: 1\nnonsense\nHost: x\nDisallow: /a",
        ),
        disallows_a("so is a sitemap within a group", "User-agent: *\nSitemap: /m.xml\nDisallow: /a"),
        rules("rules before any name are nobody's", "Disallow: /a\nUser-agent: x\nDisallow: /")
            .asks(&["/a", "/b"]),
        rules("a path is known by its case (§2.2.2)", "User-agent: *\nDisallow: /A").asks(&["/a", "/b"]),
        rules("a dollar sign is the end (§2.2.3)", "User-agent: *\nDisallow: /a$\nDisallow: /*.gif$")
            .on("/", "<a href=/a><a href=/a.b><a href=/x.gif><a href=/x.gif?y>")
            .asks(&["/a.b", "/x.gif?y"])
            .never(&["/a", "/x.gif"]),
        rules("a star is anything (§2.2.3)", "User-agent: *\nDisallow: /*/x*y")
            .on("/", "<a href=/p/q/x1y2><a href=/p/x><a href=/x1y>")
            .asks(&["/p/x", "/x1y"])
            .never(&["/p/q/x1y2"]),
        rules("a query is matched, too (§2.2.2)", "User-agent: *\nDisallow: /*?q=")
            .on("/", "<a href='/a?q=1'><a href='/a?r=1'>")
            .asks(&["/a?r=1"])
            .never(&["/a?q=1"]),
        rules(
            "characters beyond ASCII match their triplets (§2.2.2)",
            "User-agent: *\nDisallow: /é\nDisallow: /%C3%A0",
        )
        .on("/", "<meta charset=utf-8><a href=/é><a href=/à><a href=/e>")
        .asks(&["/e"])
        .never(&["/%C3%A9", "/%C3%A0"]),
        rules(
            "triplets match in either case, and for letters the letters (§2.2.2)",
            "User-agent: *\nDisallow: /%7ejoe\nDisallow: /x%2fy",
        )
        .on("/", "<a href=/~joe/><a href=/%7Ejoe/><a href=/x%2Fy><a href=/x/y>")
        .asks(&["/x/y"])
        .never(&["/~joe/", "/%7Ejoe/", "/x%2Fy"]),
        row("robots.txt itself is allowed (§2.2.2), and a page that is one can be linked")
            .on("/", "<a href=/robots.txt>")
            .on("/robots.txt", "text/plain: User-agent: *\nDisallow: /robots.txt\nDisallow: /a"),
    ]);
}

#[test]
fn a_robots_txt_that_is_none_has_a_stated_meaning() {
    let open = |why, robots: &str| row(why).on("/", "<a href=/a>").asks(&["/a"]).on("/robots.txt", robots);
    let long = |first: &str| {
        let mut text = first.as_bytes().to_vec();
        while text.len() < 600 << 10 {
            text.extend(b"# a comment to fill the file\n");
        }
        text.extend(b"Disallow: /b\n");
        answer("200 -", "Content-Type: text/plain\r\n", text)
    };
    let mut rows: Vec<Row> = ["400", "401", "403", "404", "410", "451"]
        .map(|status| open("one that is not there allows all (§2.3.1.3)", status))
        .into();
    rows.extend([
        row("of one of 600 KB the beginning holds (§2.5)")
            .on("/", "<a href=/a><a href=/b>")
            .on("/robots.txt", long("User-agent: *\nDisallow: /a\n"))
            .asks(&["/b"])
            .never(&["/a"]),
        row("five redirects are followed (§2.3.1.2)")
            .on("/", "<a href=/a><a href=/b>")
            .on("/robots.txt", "302 /r1")
            .on("/r1", "301 /r2")
            .on("/r2", "302 /r3")
            .on("/r3", "307 /r4")
            .on("/r4", "308 /r5")
            .on("/r5", "text/plain: User-agent: *\nDisallow: /a")
            .asks(&["/b"])
            .never(&["/a"]),
        row("also to another host (§2.3.1.2)")
            .on("/", "<a href=/a><a href=/b>")
            .on("/robots.txt", "302 {b}/r")
            .on("b/r", "text/plain: User-agent: *\nDisallow: /a")
            .asks(&["/b"])
            .never(&["/a"]),
        open("an empty one", "text/plain: "),
        row("one without content (204) has no rules")
            .on("/", "<a href=/a>")
            .asks(&["/a"])
            .on("/robots.txt", "HTTP/1.1 204 -\r\nConnection: close\r\n\r\n"),
        open("a redirect to nowhere", "302"),
        open("a redirect to a page", "302 /a"),
        open("redirects in a circle", "302 /robots.txt"),
        row("rules of another host are that host's")
            .on("/", "<a href={b}/a><a href=/a>")
            .on("b/robots.txt", "text/plain: User-agent: *\nDisallow: /a")
            .flags(&["--external"])
            .asks(&["/a"])
            .never(&["b/a"]),
        open(
            "a page instead of one has no rules",
            "<!DOCTYPE html><title>Disallow: /</title><p>User-agent: *",
        ),
        row("a body that was packed")
            .on("/", "<a href=/a><a href=/b>")
            .on(
                "/robots.txt",
                answer("200 -", "Content-Encoding: deflate\r\n", {
                    use std::io::Write;
                    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                    out.write_all(b"User-agent: *\nDisallow: /a").unwrap();
                    out.finish().unwrap()
                }),
            )
            .asks(&["/b"])
            .never(&["/a"]),
        row("a line that is no UTF-8 spoils no other")
            .on("/", "<a href=/a><a href=/b>")
            .on(
                "/robots.txt",
                answer("200 -", "", b"# caf\xe9\nUser-agent: *\nDisallow: /\xe9\nDisallow: /a"),
            )
            .asks(&["/b"])
            .never(&["/a"]),
        row("what links to a page that is disallowed is no dead link")
            .on("/", "<a href=/a>")
            .on("/robots.txt", "text/plain: User-agent: *\nDisallow: /a")
            .says("robots.txt says no"),
    ]);
    check(rows);
}
