//! What counts as a link, and what is part of a page: by the standards, and as browsers do it.

mod common;

use std::collections::BTreeSet;
use std::io::Write;

use common::site::{OTHER, Reply, Site};
use common::tool::{text, tool};
use common::within_a_minute;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// The paths that a site was asked for, without those that every site is.
fn asked(site: &Site) -> BTreeSet<String> {
    let asked = site.asked().into_iter().map(|asked| asked.path);
    asked.filter(|path| !matches!(path.as_str(), "/" | "/robots.txt")).collect()
}

fn set(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

/// A site whose start is this page, and of which everything else is there.
fn one_page(html: &'static str) -> Site {
    Site::open(move |asked| match asked.path.as_str() {
        "/" => Some(Reply::page(html)),
        "/robots.txt" => None,
        _ => Some(Reply::of("image/png", "")),
    })
}

#[test]
fn with_assets_everything_that_a_page_is_shown_with_is_looked_at() {
    within_a_minute(|| {
        let site = one_page(
            "<img src=/a.png srcset='/a.png 1x, /b@2x.png 2x,/c,d.png'><source srcset='/e.png 300w'> \
             <video poster=/p src=/v></video><object data=/o></object><track src=/t> \
             <input type=image src=/i><input type=text src=/no1> \
             <svg><image href=/s /><image xlink:href=/s2 /><use href='#here' /></svg> \
             <style>@import '/import.css'; /* url(/no2) */ a{background:url(/css)} b{content:'url(/no3)'} \
             @namespace url(/no4); i{background:URL( \"/q\\75 ote\" )}</style> \
             <p style='background:url(/st)'><body background=/bg><link rel='icon' href=/icon>",
        );
        assert_eq!(tool(&[&site.url("/"), "--assets", "--quiet"]).status.code(), Some(0));
        let expected = [
            "/a.png",
            "/b@2x.png",
            "/c,d.png",
            "/e.png",
            "/p",
            "/v",
            "/o",
            "/t",
            "/i",
            "/s",
            "/s2",
            "/import.css",
            "/css",
            "/quote",
            "/st",
            "/bg",
            "/icon",
        ];
        assert_eq!(asked(&site), set(&expected));

        let site = one_page("<img src=/a.png srcset=/b><style>a{background:url(/css)}</style>");
        tool(&[&site.url("/"), "--quiet"]);
        assert_eq!(asked(&site), set(&[]));
    });
}

#[test]
fn a_style_sheet_is_read_for_what_it_names() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<link rel=stylesheet href=/css/a.css>")),
            "/css/a.css" => {
                Some(Reply::of("text/css", "@import url(b.css); a{background:url(../img/x.png)}"))
            }
            "/css/b.css" => Some(Reply::of("text/css", "@font-face{src:url('lost.woff')}")),
            "/img/x.png" => Some(Reply::of("image/png", "")),
            _ => None,
        });
        let output = tool(&[&site.url("/"), "--assets", "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("/css/lost.woff") && told.contains("on /css/b.css"), "{told}");
        assert_eq!(asked(&site), set(&["/css/a.css", "/css/b.css", "/css/lost.woff", "/img/x.png"]));
    });
}

#[test]
fn links_between_documents_are_links_and_hints_are_none() {
    within_a_minute(|| {
        let site = one_page(
            "<link rel=canonical href=/canon><link rel='next' href=/next><link rel=PREV href=/prev> \
             <link rel=alternate hreflang=de href=/de><link rel=alternate type=application/rss+xml href=/rss> \
             <link rel=license href=/license><link rel=search href=/search> \
             <link rel=preconnect href=/no1><link rel=dns-prefetch href=/no2><link rel=stylesheet href=/no3>",
        );
        assert_eq!(tool(&[&site.url("/"), "--quiet"]).status.code(), Some(0));
        assert_eq!(asked(&site), set(&["/canon", "/next", "/prev", "/de", "/rss", "/license", "/search"]));
    });
}

#[test]
fn a_refresh_header_is_a_link() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("").header("Refresh", "3; url=/soon")),
            _ => None,
        });
        let output = tool(&[&site.url("/"), "--quiet"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains("/soon"));
    });
}

#[test]
fn a_sitemap_is_read_as_xml_packed_or_not_and_a_missing_one_is_told() {
    within_a_minute(|| {
        let map = "<?xml version='1.0'?><sm:urlset xmlns:sm='http://www.sitemaps.org/schemas/sitemap/0.9' \
             xmlns:xhtml='http://www.w3.org/1999/xhtml' xmlns:i='http://www.google.com/schemas/sitemap-image/1.1'> \
             <!-- <sm:url><sm:loc>/c</sm:loc></sm:url> --> \
             <sm:url><sm:loc>/dead</sm:loc><xhtml:link rel='alternate' hreflang='de' href='/de'/> \
             <i:image><i:loc>/picture</i:loc></i:image></sm:url> \
             <sm:url><sm:loc>/q?a=1&#38;b=2&#x26;c=3</sm:loc></sm:url></sm:urlset>";
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"<urlset><url><loc>/packed</loc></url></urlset>").unwrap();
        let packed = packed.finish().unwrap();
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/robots.txt" => {
                Some(Reply::of("text/plain", "Sitemap: /map.xml\nSitemap: /gone.xml\nSitemap: /map.xml.gz"))
            }
            "/map.xml" => Some(Reply::of("application/xml", map)),
            "/map.xml.gz" => Some(Reply::of("application/x-gzip", packed.clone())),
            "/" | "/q?a=1&b=2&c=3" | "/packed" | "/de" => Some(Reply::page("")),
            _ => None,
        });
        let output = tool(&[&site.url("/"), "--sitemaps", "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let expected = ["/map.xml", "/gone.xml", "/map.xml.gz", "/dead", "/de", "/q?a=1&b=2&c=3", "/packed"];
        assert_eq!(asked(&site), set(&expected), "{told}");
        assert!(told.contains("/gone.xml") && told.contains("on /robots.txt"), "{told}");
        assert!(told.contains("on /map.xml"), "{told}");
    });
}

#[test]
fn a_start_may_be_a_sitemap() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/map.xml" => Some(Reply::of("text/xml", "<urlset><url><loc>/a</loc></url></urlset>")),
            "/a" => Some(Reply::page("<a href=/lost>")),
            _ => None,
        });
        let output = tool(&[&site.url("/map.xml"), "--quiet"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert_eq!(asked(&site), set(&["/map.xml", "/a", "/lost"]));
    });
}

#[test]
fn a_cookie_that_is_set_on_the_way_is_sent_back_to_its_origin_alone() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |_| Some(Reply::page("")));
        let away = other.url("/x");
        let seen = |asked: &common::server::Asked| asked.head.contains("seen=1");
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" => Some(Reply::page(format!("<a href=/c> <a href=/d> <a href=/turn> <a href={away}>"))),
            "/c" if seen(asked) => Some(Reply::page("")),
            "/c" => Some(Reply::redirect("/c").header("Set-Cookie", "seen=1; Path=/; HttpOnly")),
            "/d" if asked.head.contains("in=2") => Some(Reply::page("")),
            "/d" => Some(Reply::redirect("/login")),
            "/login" => Some(Reply::redirect("/d").header("Set-Cookie", "in=2")),
            // It never comes to an end, and is asked a few times.
            "/turn" => {
                Some(Reply::redirect("/turn").header("Set-Cookie", &format!("n={}", asked.head.len())))
            }
            _ => None,
        });
        let output = tool(&[&site.url("/"), "--external", "--workers", "1", "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(told.matches("redirect loop").count(), 1, "{told}");
        assert!(told.contains("/turn") && !told.contains(" /c") && !told.contains(" /d"), "{told}");
        assert!(site.count("/turn") < 5 && other.count("/x") == 1);
        assert!(!other.was_told("ookie:"), "{:?}", other.asked());
    });
}

#[test]
fn a_url_is_asked_for_as_it_is_written() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<a href='/x?'> <a href='/%7Eme'> <a href='/y?a=%41'> <a href='/z%2f'>")),
            "/x?" | "/%7Eme" | "/y?a=%41" | "/z%2f" => Some(Reply::page("")),
            _ => None,
        });
        let output = tool(&[&site.url("/"), "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    });
}

#[test]
fn a_base_without_a_hierarchy_is_ignored_and_a_location_is_bytes() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page(
                "<base href='data:,x'><a href=/a> <a href=/go> <a href=/many> <a href=/use>",
            )),
            "/a" | "/caf%E9" => Some(Reply::page("")),
            "/many" => Some(
                Reply::page("<a href=/lost>").status_line("300 Multiple Choices").header("Location", "/lost"),
            ),
            "/use" => Some(Reply::status(304).header("Location", "/lost")),
            _ => None,
        });
        let _ = &site;
        let raw = common::server::Server::open(
            std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            |asked: &common::server::Asked, stream: &mut std::net::TcpStream| match asked.path.as_str() {
                "/" => common::server::page(stream, "<a href=/go>"),
                "/go" => stream.write_all(
                    b"HTTP/1.1 302 -\r\nLocation: /caf\xE9\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                ),
                "/caf%E9" => common::server::page(stream, ""),
                _ => common::server::reply(stream, "404 -", "", b""),
            },
        )
        .unwrap();
        let output = tool(&[&raw.url("/"), "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let output = tool(&[&site.url("/"), "--exclude", "*/go", "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert_eq!((site.count("/a"), site.count("/lost")), (1, 0));
    });
}

#[test]
fn a_packed_body_is_unpacked_or_told() {
    within_a_minute(|| {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"<a href=/n>").unwrap();
        let packed = packed.finish().unwrap();
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" => Some(Reply::page(packed.clone()).header("Content-Encoding", "deflate")),
            "/n" => Some(Reply::page("")),
            _ => None,
        });
        tool(&[&site.url("/"), "--quiet"]);
        assert_eq!(site.count("/n"), 1);
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("\u{1}\u{2}").header("Content-Encoding", "br")),
            _ => None,
        });
        let output = tool(&[&site.url("/")]);
        let told = text(&output.stdout);
        assert_ne!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("Content-Encoding"), "{told}");
    });
}

#[test]
fn a_scheme_that_is_a_typo_is_told() {
    within_a_minute(|| {
        let site = Site::open(|asked| {
            (asked.path == "/")
                .then(|| Reply::page("<a href='hhttps://x.test/'> <a href='tel:1'> <a href='xmpp:a@b'>"))
        });
        let output = tool(&[&site.url("/"), "--quiet"]);
        let told = text(&output.stdout);
        assert!(output.status.code() == Some(1) && told.contains("hhttps://x.test/"), "{told}");
        assert!(!told.contains("tel:") && !told.contains("xmpp:"), "{told}");
    });
}

#[test]
fn a_host_that_always_answers_429_is_given_up() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |asked| match asked.path.as_str() {
            "/robots.txt" => None,
            _ => Some(Reply::status(429).header("Retry-After", "0")),
        });
        let links: String = (0..48).map(|n| format!("<a href={}>", other.url(&format!("/{n}")))).collect();
        let site = Site::open(move |asked| (asked.path == "/").then(|| Reply::page(links.clone())));
        let output = tool(&[&site.url("/"), "--external", "--retries", "9"]);
        let told = text(&output.stdout);
        assert!(told.contains("given up"), "{told}");
        assert!(other.asked().len() <= 1 + 8 + 6, "{} requests", other.asked().len());
    });
}

#[test]
fn a_bad_header_is_bad_use_and_is_not_repeated() {
    within_a_minute(|| {
        for header in ["X A: s3cret", "X-A: s3cret\nB: x", ": s3cret"] {
            let output = tool(&["http://127.0.0.1:1/", "--header", header]);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{header:?}");
            assert!(told.contains("NAME: VALUE") && !told.contains("s3cret"), "{told}");
        }
    });
}

#[test]
fn the_table_has_a_row_for_each_problem_and_names_the_page_it_is_on() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<a href=/lost>a</a> <a href=/a>b</a> <a href='http://['>c</a>")),
            "/a" => Some(Reply::page("<a href=/lost>d</a>")),
            _ => None,
        });
        let told = text(&tool(&[&site.url("/"), "--format", "csv", "--quiet"]).stdout);
        let rows: Vec<_> = told.lines().filter(|row| row.contains("/lost,")).collect();
        assert_eq!(rows.len(), 2, "{told}");
        assert!(rows[0].ends_with(&format!("{},a", site.url("/"))), "{told}");
        assert!(rows[1].ends_with(&format!("{},d", site.url("/a"))), "{told}");
        assert!(told.lines().any(|row| row.starts_with("http://[,") && row.contains("not a URL")), "{told}");
    });
}

#[test]
fn heads_that_are_not_quite_http_are_read_and_what_is_no_http_is_uncertain() {
    within_a_minute(|| {
        let lines = |path: &str| match path {
            "/folded" => Some("X-A: one\r\n two\r\n".to_owned()),
            "/space" => Some("Server : x\r\n".to_owned()),
            "/garbage" => Some("garbage line\r\n".to_owned()),
            "/many" => Some(
                (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect::<String>()
                    + "Content-Type: text/html\r\n",
            ),
            "/two" => Some("Content-Type: text/plain\r\nContent-Type: text/html\r\n".to_owned()),
            _ => None,
        };
        let server = common::server::Server::open(
            std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            move |asked: &common::server::Asked, stream: &mut std::net::TcpStream| match asked.path.as_str() {
                "/" => common::server::page(
                    stream,
                    "<a href=/folded> <a href=/space> <a href=/garbage> <a href=/many> <a href=/two> <a href=/no-http>",
                ),
                "/no-http" => std::io::Write::write_all(stream, b"EHLO there\r\n\r\n"),
                path => match lines(path) {
                    Some(lines) => {
                        let link = format!("<a href=/from{path}>");
                        common::server::reply(stream, "200 OK", &lines, link.as_bytes())
                    }
                    None => common::server::reply(stream, "404 -", "", b""),
                },
            },
        )
        .unwrap();
        let output = tool(&[&server.url("/"), "--format", "json", "--quiet"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let urls = |key: &str| {
            let links = json[key].as_array().unwrap().iter();
            let mut urls: Vec<_> =
                links.map(|link| link["url"].as_str().unwrap().replace(&server.url(""), "")).collect();
            urls.sort();
            urls
        };
        // Each of these pages was read.
        assert_eq!(urls("dead"), ["/from/folded", "/from/garbage", "/from/many", "/from/space", "/from/two"]);
        assert_eq!(urls("uncertain"), ["/no-http"]);
        let two =
            json["pages"].as_array().unwrap().iter().find(|page| page["url"] == server.url("/two")).unwrap();
        assert_eq!(two["record"]["detail"], "several Content-Types: text/plain, text/html");
    });
}
