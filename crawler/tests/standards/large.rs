//! Pages that are built to cost much: each is read in time that grows with its length, and no faster.

use std::fmt::Write;

use crate::common::within_a_minute;
use selvedge_crawl::{Crawler, MemorySite, Report, Response};

const START: &str = "http://loom.test/";

fn run(response: Response) -> Report {
    let site = MemorySite::new().response(START, response);
    let builder = Crawler::builder().fetch(site).assets(true).fragments(true).sitemaps(true).pages(2);
    builder.body_cap(1 << 30).build().unwrap().run(START).unwrap()
}

#[test]
fn a_page_that_is_nested_or_repeated_without_end_is_read_in_time() {
    within_a_minute(|| {
        let many = |text: &str, count: usize| text.repeat(count);
        let pages = [
            many("<div><svg><template>", 7_000) + "<a href=/x>",
            many("<iframe srcdoc='<a href=/x>'></iframe>", 5_000),
            format!("<iframe srcdoc=\"{}\"></iframe>", many("<iframe srcdoc='<a href=/x>'></iframe>", 5_000)),
            format!("<img srcset='{}'>", many("/a 1x, ", 12_000)),
            format!("<img srcset='{}'>", many(",", 125_000)),
            format!("<img srcset='/a {}'>", many("(", 125_000)),
            format!("<a href='{}'>", many("//a@b", 25_000)),
            format!("<a href='x:{}'>", many("//a@b:", 25_000)),
            format!("<a href='data:{}'>", many("http:", 25_000)),
            format!("<a href=/y>{}</a>", many("http://me:pw@h/ ", 12_000)),
            format!("<style>{}</style>", many("@import 'a' ", 12_000)),
            format!("<style>a{{{}</style>", many("url(", 25_000)),
            format!("<style>{}</style>", many("(", 125_000)),
            format!("<style>{}</style>", many("/*", 50_000)),
            format!("<style>{}</style>", many("'\n", 50_000)),
            format!("<p style='{}'>", many("\\", 125_000)),
            many("<a href=http://[>", 7_000),
            many("<p id=a><a href=#b>", 7_000),
            many("<meta charset=", 12_000),
            many("<!--", 50_000),
            many("&", 125_000),
            many("<", 125_000),
            format!("<meta http-equiv=refresh content='{}'>", many("0", 125_000)),
        ];
        for (n, page) in pages.into_iter().enumerate() {
            let report = run(Response::html(page));
            assert!(report.page(0).record.is_some(), "{n}");
            let _ = report.to_text(false);
        }
        let links = many("</x>; rel=next; a=\"b,\", ", 5_000);
        let report = run(Response::html("").header("Link", &links));
        assert_eq!(report.links(0).count(), 1);
    });
}

#[test]
fn a_long_sitemap_is_read_in_time() {
    within_a_minute(|| {
        let mut urls = String::from("<sm:urlset xmlns:sm='http://www.sitemaps.org/schemas/sitemap/0.9'>");
        for n in 0..60_000 {
            let _ = write!(urls, "<sm:url><sm:loc>http://other.test/{n}</sm:loc><x:loc>/no</x:loc></sm:url>");
        }
        let report = run(Response::of("application/xml", urls + "</sm:urlset>"));
        assert!(report.pages().len() >= 15_000);
        for text in ["<", "<!", "<![", "<!--", "&", "&#", "<x y='", "<loc>", "<loc><!-- -->"] {
            let _ = run(Response::of("application/xml", format!("<urlset>{}", text.repeat(25_000))));
        }
    });
}

#[test]
fn a_long_robots_txt_is_read_in_time() {
    within_a_minute(|| {
        for line in
            ["Disallow: /*a*b*c*d*e*f\n", "User-agent: x\n", "Sitemap: /x\n", "%", "Disallow: %7e%7e%7e\n"]
        {
            let text = format!("User-agent: *\n{}", line.repeat((500 << 10) / line.len()));
            let site = MemorySite::new()
                .page(START, &format!("<a href=/{}>", "abcdefg".repeat(50)))
                .response("http://loom.test/robots.txt", Response::of("text/plain", text));
            let report = Crawler::builder().fetch(site).build().unwrap().run(START).unwrap();
            assert!(report.fetched() <= 2, "{line}");
        }
    });
}
