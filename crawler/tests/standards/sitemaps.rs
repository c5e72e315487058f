//! Sitemaps (sitemaps.org, XML 1.0).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::row::{Row, answer, check, row};

fn gzip(text: &str) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// A site whose robots.txt names `/map`, which is this.
fn map(why: &'static str, mime: &str, body: impl AsRef<[u8]>) -> Row {
    row(why)
        .on("/", "<p>")
        .on("/robots.txt", "text/plain: Sitemap: {a}/map\n")
        .on("/map", answer("200 OK", &format!("Content-Type: {mime}\r\n"), body))
        .flags(&["--sitemaps"])
}

fn xml(why: &'static str, urls: &str) -> Row {
    map(
        why,
        "text/xml",
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{urls}</urlset>"
        ),
    )
}

#[test]
fn a_sitemap_is_read_as_xml() {
    check(vec![
        xml("its pages", "<url><loc>{a}/x</loc></url><url>\n<loc>\n  {a}/y\n</loc>\n</url>").asks(&["/x", "/y"]),
        xml("a page that is dead", "<url><loc>{a}/x</loc></url>").exits(&[1]).says("/x"),
        xml("entities and numbers (XML §4.1)", "<url><loc>{a}/q?a=1&amp;b=2&#38;c=3&#x26;d=&apos;4</loc></url>").asks(&["/q?a=1&b=2&c=3&d=%274"]),
        xml("comments are none (§2.5)", "<!-- <url><loc>{a}/no</loc></url> --><url><loc>{a}/<!-- z -->x</loc></url>").asks(&["/x"]).never(&["/no"]),
        xml("sections of characters (§2.7)", "<url><loc><![CDATA[{a}/x?a&b]]></loc></url>").asks(&["/x?a&b"]),
        map("any prefix for the namespace", "text/xml", "<sm:urlset xmlns:sm='http://www.sitemaps.org/schemas/sitemap/0.9'><sm:url><sm:loc>{a}/x</sm:loc></sm:url></sm:urlset>").asks(&["/x"]),
        map("an older namespace, and none", "text/xml", "<urlset xmlns='http://www.google.com/schemas/sitemap/0.84'><url><loc>{a}/x</loc></url></urlset>").asks(&["/x"]),
        xml("pictures and films are no pages", "<url><loc>{a}/x</loc><image:image><image:loc>{a}/no</image:loc></image:image><video:video><video:player_loc>{a}/no</video:player_loc></video:video></url>")
            .asks(&["/x"])
            .never(&["/no"]),
        xml("other languages are", "<url><loc>{a}/x</loc><xhtml:link rel='alternate' hreflang='de' href='{a}/de'/></url>").asks(&["/x", "/de"]),
        xml("a relative location is read, too", "<url><loc>/x</loc></url>").asks(&["/x"]),
        xml("other hosts' pages are out of scope", "<url><loc>{b}/x</loc></url>").never(&["b/x"]),
        xml("white space in tags (§3.1)", "<url ><loc\n>{a}/x</loc ></url >").asks(&["/x"]),
        xml("an element that is empty", "<url><loc/></url><url><loc></loc></url><url><loc>{a}/x</loc></url>").asks(&["/x"]),
        xml("a tag within a value (§3.1)", "<url><loc>{a}/x</loc><x y='<loc>{a}/no</loc>' z='>'/></url>").asks(&["/x"]).never(&["/no"]),
        map("a document type (§2.8)", "text/xml", "<!DOCTYPE urlset [<!ENTITY x '<loc>{a}/no</loc>'>]><urlset><url><loc>{a}/x</loc></url></urlset>").asks(&["/x"]).never(&["/no"]),
        map("a mark at the beginning", "text/xml", "\u{feff}<urlset><url><loc>{a}/x</loc></url></urlset>").asks(&["/x"]),
        map("UTF-16, by its mark (§4.3.3)", "text/xml", "x").on("/robots.txt", "404").on("/sitemap.xml", answer("200 -", "", {
            let text = "\u{feff}<urlset><url><loc>/x</loc></url></urlset>";
            text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
        })).start("/sitemap.xml").asks(&["/x"]),
        map("by its own word (§4.3.3)", "application/xml", "x").start("/m.xml").on("/m.xml", answer("200 -", "Content-Type: application/xml\r\n", b"<?xml version=\"1.0\" encoding=\"koi8-r\"?><urlset><url><loc>/\xc1</loc></url></urlset>".as_slice())).on("/map", "404").exits(&[1]).asks(&["/%D0%B0"]),
    ]);
}

#[test]
fn a_sitemap_may_be_an_index_packed_text_or_a_feed() {
    let one = "<urlset><url><loc>/x</loc></url></urlset>";
    check(vec![
        map("an index, and an index in it", "text/xml", "<sitemapindex><sitemap><loc>{a}/i2</loc></sitemap><sitemap><loc>{a}/m1</loc></sitemap></sitemapindex>")
            .on("/i2", "text/xml: <sitemapindex><sitemap><loc>{a}/m2</loc></sitemap><sitemap><loc>{a}/map</loc></sitemap></sitemapindex>")
            .on("/m1", "text/xml: <urlset><url><loc>{a}/x</loc></url></urlset>")
            .on("/m2", "text/xml: <urlset><url><loc>{a}/y</loc></url></urlset>")
            .asks(&["/x", "/y"]),
        map("an index that names a missing map", "text/xml", "<sitemapindex><sitemap><loc>{a}/m1</loc></sitemap></sitemapindex>").exits(&[1]).says("/m1"),
        map("packed, and known by its content", "application/octet-stream", gzip(one)).asks(&["/x"]),
        map("packed, and called a page's type", "text/html", gzip(one)).asks(&["/x"]),
        map("packed for the way as well", "application/gzip", "x")
            .on("/robots.txt", "text/plain: Sitemap: /m.xml.gz")
            .on("/m.xml.gz", answer("200 -", "Content-Type: application/x-gzip\r\nContent-Encoding: gzip\r\n", gzip(one)))
            .asks(&["/x"]),
        map("a line each", "text/plain", "{a}/x\r\n\r\n  {a}/y  \n").asks(&["/x", "/y"]),
        map("a line each after a mark", "text/plain", "\u{feff}{a}/x\n{a}/y").asks(&["/x", "/y"]),
        map("RSS (sitemaps.org, other formats)", "application/rss+xml", "<rss version='2.0'><channel><title>t</title><link>{a}/x</link><item><link>{a}/y</link><guid>{a}/no</guid></item></channel></rss>")
            .asks(&["/x", "/y"])
            .never(&["/no"]),
        map("Atom", "application/atom+xml", "<feed xmlns='http://www.w3.org/2005/Atom'><link rel='self' href='{a}/map'/><entry><link href='{a}/x'/></entry><entry><link rel='alternate' href='{a}/y'/></entry></feed>")
            .asks(&["/x", "/y"]),
        row("the usual place, if nobody names another")
            .on("/", "<p>")
            .on("/sitemap.xml", format!("text/xml: {one}"))
            .flags(&["--sitemaps"])
            .asks(&["/x"]),
        row("a missing one that nobody names is no dead link").on("/", "<a href=/x>").flags(&["--sitemaps"]).asks(&["/sitemap.xml", "/x"]),
        row("one that leads elsewhere").on("/", "<p>").on("/robots.txt", "text/plain: Sitemap: /m").on("/m", "301 /n").on("/n", format!("text/xml: {one}")).flags(&["--sitemaps"]).asks(&["/x"]),
        row("several").on("/", "<p>").on("/robots.txt", "text/plain: Sitemap: /m\nUser-agent: *\nSitemap: /n\n").on("/m", format!("text/xml: {one}")).on("/n", "text/xml: <urlset><url><loc>/y</loc></url></urlset>").flags(&["--sitemaps"]).asks(&["/x", "/y"]),
        row("one that is called packed and is not").on("/", "<p>").on("/robots.txt", "text/plain: Sitemap: /m.xml.gz").on("/m.xml.gz", format!("application/gzip: {one}")).flags(&["--sitemaps"]).asks(&["/x"]),
        row("one that is called a page").on("/", "<p>").on("/robots.txt", "text/plain: Sitemap: /m").on("/m", format!("text/html: {one}")).flags(&["--sitemaps"]).asks(&["/x"]),
        row("one on another host may list pages of ours")
            .on("/", "<p>")
            .on("/robots.txt", "text/plain: Sitemap: {b}/map.xml")
            .on("b/map.xml", "text/xml: <urlset><url><loc>{a}/x</loc></url><url><loc>{b}/no</loc></url></urlset>")
            .flags(&["--sitemaps"])
            .asks(&["b/map.xml", "/x"])
            .never(&["b/no"]),
        row("what a sitemap lists obeys robots.txt and patterns")
            .on("/", "<p>")
            .on("/robots.txt", "text/plain: User-agent: *\nDisallow: /r\nSitemap: /m.xml")
            .on("/m.xml", "text/xml: <urlset><url><loc>/r</loc></url><url><loc>/e</loc></url><url><loc>/x</loc></url></urlset>")
            .flags(&["--sitemaps", "--exclude", "*/e"])
            .asks(&["/x"])
            .never(&["/r", "/e"]),
        row("a sitemap as a start").start("/m.xml").on("/m.xml", format!("application/xml: {one}")).asks(&["/x"]),
        row("a packed one as a start").start("/m.xml.gz").on("/m.xml.gz", answer("200 -", "Content-Type: application/octet-stream\r\n", gzip(one))).asks(&["/x"]),
        row("one of lines as a start").start("/sitemap.txt").on("/sitemap.txt", "text/plain: {a}/x\n").asks(&["/x"]),
        row("a feed as a start").start("/feed").on("/feed", "application/rss+xml: <rss><channel><item><link>{a}/x</link></item></channel></rss>").asks(&["/x"]),
        row("a start that leads to a sitemap").on("/", "302 /m.xml").on("/m.xml", format!("text/xml: {one}")).asks(&["/x"]),
        row("the name of the rule in any case, and anywhere").on("/", "<p>").on("/robots.txt", "text/plain: sItEmAp : {a}/m\nUser-agent: *\nDisallow: /no").on("/m", "text/plain: {a}/x\n").flags(&["--sitemaps"]).asks(&["/x"]),
    ]);
}
