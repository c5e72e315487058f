//! Sitemaps (sitemaps.org): XML, an index of further ones, a feed, or a URL a line.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;

/// What a sitemap lists.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sitemap {
    pub(super) pages: Vec<String>,
    /// Further sitemaps.
    pub(super) maps: Vec<String>,
}

/// What the elements of an XML document mean.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `<loc>` is a page.
    Urls,
    /// `<loc>` is a sitemap.
    Index,
    /// The text of `<link>` is a page, as in RSS, or its `href`, as in Atom.
    Feed,
}

impl Sitemap {
    /// Reads a sitemap; `None` if the text is in none of the forms. An empty list is a sitemap.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        match text.starts_with('<') {
            true => Sitemap::of_xml(text),
            false => Sitemap::of_lines(text),
        }
    }

    fn of_lines(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| line.contains("://"));
        let pages: Vec<String> = lines.map(str::to_owned).collect();
        (!pages.is_empty() || text.is_empty()).then_some(Sitemap { pages, maps: Vec::new() })
    }

    fn of_xml(text: &str) -> Option<Self> {
        let (mut locations, mut form) = (Vec::new(), None);
        // Looked up once for each prefix: a long document has one a URL.
        let mut media: HashMap<&str, bool> = HashMap::new();
        let mut scanner = Scanner { rest: text };
        while let Some(tag) = scanner.next_tag() {
            let (prefix, name) = tag.name();
            let Some(form) = form else {
                // The first element is the root.
                form = Some(form_of(name)?);
                continue;
            };
            // Images and videos have prefixes of their own, and a `loc` that is no page.
            let mut is_other = || *media.entry(prefix).or_insert_with(|| is_media(text, prefix));
            match (form, name) {
                (Form::Urls | Form::Index, "loc") if !tag.is_empty() && !is_other() => {
                    locations.push(scanner.text());
                }
                (Form::Urls, "link") if tag.is_alternate() => locations.extend(tag.attribute("href")),
                (Form::Feed, "link") if tag.attribute("href").is_some() => {
                    // Without a relation it is the entry's page.
                    let is_page = tag.attribute("rel").is_none() || tag.is_alternate();
                    locations.extend(tag.attribute("href").filter(|_| is_page));
                }
                (Form::Feed, "link") if !tag.is_empty() => locations.push(scanner.text()),
                _ => {}
            }
        }
        locations.retain(|location| !location.is_empty());
        match form? {
            Form::Index => Some(Sitemap { pages: Vec::new(), maps: locations }),
            Form::Urls | Form::Feed => Some(Sitemap { pages: locations, maps: Vec::new() }),
        }
    }
}

fn form_of(root: &str) -> Option<Form> {
    match root {
        "urlset" => Some(Form::Urls),
        "sitemapindex" => Some(Form::Index),
        "rss" | "RDF" | "feed" => Some(Form::Feed),
        _ => None,
    }
}

/// Unpacks a body that is a `.gz` file, up to `cap` bytes; any other stays as it is. `None` if it cannot be
/// unpacked.
pub(super) fn unpacked(body: &[u8], cap: u64) -> Option<Vec<u8>> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Some(body.to_vec());
    }
    let mut out = Vec::new();
    MultiGzDecoder::new(body).take(cap).read_to_end(&mut out).ok()?;
    Some(out)
}

/// Whether a document declares that a prefix stands for images, videos or news.
fn is_media(text: &str, prefix: &str) -> bool {
    let declared = text.split_once(&format!("xmlns:{prefix}=")).map(|(_, rest)| rest);
    let name = declared.and_then(|rest| rest.get(1..)?.split(['"', '\'']).next());
    let is_declared = !prefix.is_empty() && name.is_some_and(|name| name.contains("sitemap-"));
    is_declared || matches!(prefix, "image" | "video" | "news")
}

struct Scanner<'a> {
    rest: &'a str,
}

/// What stands between `<` and `>` of a start tag.
struct Tag<'a>(&'a str);

impl<'a> Scanner<'a> {
    /// The next start tag, outside of comments and declarations.
    fn next_tag(&mut self) -> Option<Tag<'a>> {
        loop {
            self.rest = &self.rest[self.rest.find('<')?..];
            let end = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("</", ">")];
            match end.iter().find(|(begin, _)| self.rest.starts_with(begin)) {
                Some((_, end)) => self.rest = self.rest.split_once(end)?.1,
                None if self.rest.starts_with("<!") => self.rest = after_declaration(self.rest)?,
                None => {
                    let tag = &self.rest[1..];
                    let end = unquoted(tag, |c| c == '>')?;
                    self.rest = &tag[end + 1..];
                    return Some(Tag(&tag[..end]));
                }
            }
        }
    }

    /// The text up to the next tag, without comments.
    fn text(&mut self) -> String {
        let mut text = String::new();
        while let Some((before, _)) = self.rest.split_once('<') {
            text += &unescaped(before);
            self.rest = &self.rest[before.len()..];
            if let Some(rest) = self.rest.strip_prefix("<!--") {
                self.rest = rest.split_once("-->").map_or("", |(_, rest)| rest);
            } else if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                let (raw, rest) = rest.split_once("]]>").unwrap_or((rest, ""));
                text += raw;
                self.rest = rest;
            } else {
                return text.trim().to_owned();
            }
        }
        // The document breaks off here, and so may the URL.
        self.rest = "";
        String::new()
    }
}

/// What follows a declaration, which may have further ones in brackets.
fn after_declaration(text: &str) -> Option<&str> {
    let mut depth = 0;
    let end = unquoted(text, |c| {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    Some(&text[end? + 1..])
}

/// Where a character is that `ends` wants, outside of quotes.
fn unquoted(text: &str, mut ends: impl FnMut(char) -> bool) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if ends(c) => return Some(at),
            None => {}
        }
    }
    None
}

impl<'a> Tag<'a> {
    /// The prefix and the name.
    fn name(&self) -> (&'a str, &'a str) {
        let name = self.0.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        name.split_once(':').unwrap_or(("", name))
    }

    /// Whether it has no contents.
    fn is_empty(&self) -> bool {
        self.0.ends_with('/')
    }

    fn is_alternate(&self) -> bool {
        self.attribute("rel").is_some_and(|rel| rel.eq_ignore_ascii_case("alternate"))
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.0;
        while let Some((before, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, next) = after[1..].split_once(quote)?;
            if before.trim_end().rsplit(char::is_whitespace).next() == Some(name) {
                return Some(unescaped(value.trim()));
            }
            rest = next;
        }
        None
    }
}

/// A text with the five predefined entities and numeric references replaced.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out += before;
        let entity = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        match entity.and_then(|(name, next)| Some((entity_of(name)?, next))) {
            Some((c, next)) => {
                out.push(c);
                rest = next;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

fn entity_of(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "amp" => Some('&'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_maps_and_lines_are_distinguished() {
        let xml = "<?xml version='1.0'?><urlset><url><loc> http://a.test/?x=1&amp;y=2 </loc></url>
            <url><loc><![CDATA[http://a.test/&]]></loc></url><url><loc>unclosed";
        assert_eq!(Sitemap::of(xml).unwrap().pages, ["http://a.test/?x=1&y=2", "http://a.test/&"]);
        let index = "<sitemapindex><sitemap><loc>http://a.test/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(Sitemap::of(index).unwrap().maps, ["http://a.test/1.xml"]);
        assert_eq!(Sitemap::of("http://a.test/1\r\nhttp://a.test/2\n\nx\n").unwrap().pages.len(), 2);
        assert_eq!(Sitemap::of(""), Some(Sitemap::default()));
    }

    #[test]
    fn prefixes_comments_and_numbers_are_read_as_xml_has_them() {
        let xml = "<s:urlset xmlns:s=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
            xmlns:p='http://www.google.com/schemas/sitemap-image/1.1'><!-- <s:loc>no</s:loc> -->\
            <s:url><s:loc>/a?b&#61;1<!-- x -->2</s:loc><p:image><p:loc>no</p:loc></p:image>\
            <x:link rel='alternate' hreflang='de' href='/de&#x3F;'/><x:link rel='self' href='no'/></s:url></s:urlset>";
        assert_eq!(Sitemap::of(xml).unwrap().pages, ["/a?b=12", "/de?"]);
        for broken in
            ["<", "<a", "<loc>", "<!--", "<loc><!--", "<loc><![CDATA[", "<link rel=", "<loc>&#x110000;</loc>"]
        {
            let _ = Sitemap::of(broken);
        }
    }

    #[test]
    fn what_is_in_no_form_of_a_sitemap_is_none() {
        for text in
            ["<html><link rel=alternate href=/x>", "<data><loc>/x</loc></data>", "not found", "<!DOCTYPE"]
        {
            assert_eq!(Sitemap::of(text), None, "{text}");
        }
        assert_eq!(Sitemap::of("<urlset/>"), Some(Sitemap::default()));
    }

    #[test]
    fn quotes_and_brackets_hide_what_is_in_them() {
        let xml = "<!DOCTYPE urlset [<!ENTITY x '>'><!ENTITY y \"<loc>/no</loc>\">]><urlset>\
            <x y='<loc>/no</loc>' z=\">\"/><loc/><loc>/x</loc></urlset>";
        assert_eq!(Sitemap::of(xml).unwrap().pages, ["/x"]);
    }
}
