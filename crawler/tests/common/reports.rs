//! Reports of sites in memory that are hard to show well.

use selvedge_crawl::{Builder, Crawler, ErrorKind, FetchError, MemorySite, Report, Response};

const HOME: &str = "http://loom.test/";

pub(crate) fn run(builder: Builder, site: MemorySite) -> Report {
    builder.retries(0).fetch(site).build().unwrap().run(HOME).unwrap()
}

/// A site with some of everything.
pub(crate) fn mixed() -> Report {
    let mut home = String::from("<a href=mailto:weaver@loom.test>mail</a> <a href='http://[/'>broken</a>");
    for n in 0..60 {
        home += &format!("<a href=/docs/chapter-{n}.html>Chapter {n}</a> ");
        home += &format!("<a href=/blog/2025/{n}/a-post-about-weaving-{n}.html>A post</a> ");
    }
    for path in ["private/", "film.mp4", "old", "older", "once", "loop", "busy", "api/reference/index.html"] {
        home += &format!("<a href=/{path}>{path}</a> ");
    }
    let site = MemorySite::new()
        .page(HOME, &home)
        .response(
            "http://loom.test/robots.txt",
            Response::of("text/plain", "User-agent: *\nDisallow: /private/"),
        )
        .response("http://loom.test/film.mp4", Response::of("video/mp4", "film"))
        .redirect("http://loom.test/old", 301, "/docs/chapter-1.html")
        .redirect("http://loom.test/older", 308, "/old")
        .redirect("http://loom.test/once", 302, "/docs/chapter-2.html")
        .redirect("http://loom.test/loop", 302, "/loop")
        .response("http://loom.test/busy", Response::status(429))
        .otherwise(|request| {
            let url = request.url;
            let path = url.path();
            let footer = "<p><a href=/imprint.html>Imprint</a> <a href=/old>Old start page</a>";
            let numbered = |from: &str| path.strip_prefix(from)?.strip_suffix(".html")?.parse::<u32>().ok();
            match (url.host_str(), path) {
                (Some("gone.test"), _) => Err(FetchError::new(ErrorKind::NoSuchHost, "no such name")),
                (Some("loom.test"), "/robots.txt") => Ok(Response::status(404)),
                (Some("loom.test"), "/api/reference/index.html") => {
                    let types = (0..40).map(|n| format!("<a href=type-{n}.html>Type {n}</a>"));
                    Ok(Response::html(types.collect::<String>() + footer))
                }
                (Some("loom.test"), _) if path.contains("post") || path.contains("type-") => {
                    Ok(Response::html(format!("{footer} <a href=https://gone.test{path}>gone</a>")))
                }
                (Some("loom.test"), _) if numbered("/docs/chapter-").is_some_and(|n| n % 9 != 8) => {
                    let out = format!("<a href=https://elsewhere.test/{}>elsewhere</a>", path.len() % 3);
                    Ok(Response::html(footer.to_owned() + &out))
                }
                (Some("elsewhere.test"), _) => Ok(Response::html("")),
                _ => Ok(Response::status(404)),
            }
        });
    run(Crawler::builder().external(true), site)
}

/// A site that wants to be more than text in a report.
pub(crate) fn hostile() -> Report {
    let script = "<script>hacked = 1</script>";
    let long = "x".repeat(400);
    let mut page = String::from(
        "<a href='javascript:hacked=1'>x</a><a href='data:text/html,<script>hacked=1</script>'>x</a>",
    );
    for url in [
        "/\"onmouseover=\"hacked=1",
        "/'onload='hacked=1",
        "/</script><script>hacked=1</script>",
        "/</title></style><img src=x onerror=hacked=1>",
        "/]]><svg onload=hacked=1>",
        "/?a=1&lt;b&amp;c",
        "/\u{202e}gnirts",
        "http://[<img src=x onerror=hacked=1>",
        "http://[\u{1b}[31m",
        &format!("/{long}"),
        &format!("/{long}/{long}?{long}"),
    ] {
        let url = url.replace('&', "&amp;").replace('"', "&quot;");
        let text = format!("{script}\"'>\u{202e}{long}").replace('&', "&amp;").replace('<', "&lt;");
        page += &format!("<a href=\"{url}\">{text}</a> ");
    }
    let moved = "/<b>\"'moved";
    let site = MemorySite::new()
        .page(HOME, &(page.clone() + "<a href=/moved>m</a><a href=/odd>o</a><a href=/fails>f</a>"))
        .redirect("http://loom.test/moved", 301, moved)
        .response("http://loom.test/odd", Response::of("text/<img src=x onerror=hacked=1>", "x"))
        .answer("http://loom.test/fails", move |_| Err(FetchError::new(ErrorKind::ConnectionLost, script)));
    run(Crawler::builder(), site)
}

/// A dead link in the footer of 4,000 pages, each with so many pictures of its own: 9 make 40,000 URLs.
pub(crate) fn footer(pictures: u32) -> Report {
    let site = MemorySite::new()
        .page(HOME, "<a href=/docs/0/page-0.html>first</a> <a href=/imprint-of-2019.html>Imprint</a>")
        .otherwise(move |request| {
            let path = request.url.path();
            let number =
                path.strip_suffix(".html").and_then(|path| path.rsplit_once("page-")?.1.parse::<u32>().ok());
            let Some(n) = number.filter(|&n| n < 4_000) else {
                let is_picture = path.ends_with(".png");
                return Ok(if is_picture { Response::of("image/png", "") } else { Response::status(404) });
            };
            let pages = (10 * n + 1..10 * n + 11).filter(|&n| n < 4_000);
            let pages = pages.map(|n| format!("<a href=/docs/{}/page-{n}.html>{n}</a>", n / 100));
            let pictures = (0..pictures).map(|k| format!("<a href=/pictures/{}/{n}-{k}.png>p</a>", n / 100));
            let links: String = pages.chain(pictures).collect();
            Ok(Response::html(format!("{links}<a href=/imprint-of-2019.html>Imprint</a>")))
        });
    run(Crawler::builder().workers(16), site)
}

/// A page without a fault.
pub(crate) fn clean() -> Report {
    run(Crawler::builder(), MemorySite::new().page(HOME, "<a href=/>home</a>"))
}

/// A crawl that ended early.
pub(crate) fn partial() -> Report {
    let links: String = (0..50).map(|n| format!("<a href=/{n}>{n}</a>")).collect();
    let site = MemorySite::new().page(HOME, &links).otherwise(|_| Ok(Response::html("")));
    run(Crawler::builder().pages(20), site)
}

pub(crate) fn html(report: &Report) -> String {
    let mut html = Vec::new();
    report.write_html(&mut html).unwrap();
    String::from_utf8(html).unwrap()
}
