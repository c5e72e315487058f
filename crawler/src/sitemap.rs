//! The URLs in a sitemap: XML, an index of further ones, or a line each.

use std::io::Read;

use flate2::read::GzDecoder;

/// What a sitemap lists.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sitemap {
    pub(super) pages: Vec<String>,
    /// Further sitemaps.
    pub(super) maps: Vec<String>,
}

impl Sitemap {
    /// Reads a sitemap. What is neither XML nor a list of URLs has none.
    pub(super) fn of(text: &str) -> Self {
        if !text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
            let lines = text.lines().map(str::trim).filter(|line| line.contains("://"));
            return Sitemap { pages: lines.map(str::to_owned).collect(), maps: Vec::new() };
        }
        let (mut locations, mut is_index) = (Vec::new(), false);
        let mut scanner = Scanner { rest: text };
        while let Some(tag) = scanner.next_tag() {
            let (prefix, name) = tag.name();
            // Pictures and films have prefixes of their own, and a `loc` that is no page.
            let is_other = matches!(prefix, "image" | "video" | "news") || is_media(text, prefix);
            match name {
                "sitemapindex" => is_index = true,
                "loc" if !is_other => locations.push(scanner.text()),
                // A page in another language.
                "link" if tag.attribute("rel").is_some_and(|rel| rel.eq_ignore_ascii_case("alternate")) => {
                    locations.extend(tag.attribute("href"));
                }
                _ => {}
            }
        }
        locations.retain(|location| !location.is_empty());
        match is_index {
            true => Sitemap { pages: Vec::new(), maps: locations },
            false => Sitemap { pages: locations, maps: Vec::new() },
        }
    }
}

/// Unpacks a body that is a `.gz` file, up to `cap` bytes; any other stays as it is. `None` if it cannot be
/// unpacked.
pub(super) fn unpacked(body: &[u8], cap: u64) -> Option<Vec<u8>> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Some(body.to_vec());
    }
    let mut out = Vec::new();
    GzDecoder::new(body).take(cap).read_to_end(&mut out).ok()?;
    Some(out)
}

/// Whether a document says that a prefix stands for pictures or films.
fn is_media(text: &str, prefix: &str) -> bool {
    let declared = text.split(&format!("xmlns:{prefix}=")).nth(1);
    let name = declared.and_then(|rest| rest.get(1..)?.split(['"', '\'']).next());
    !prefix.is_empty() && name.is_some_and(|name| name.contains("sitemap-"))
}

struct Scanner<'a> {
    rest: &'a str,
}

/// What stands between `<` and `>` of a start tag.
struct Tag<'a>(&'a str);

impl<'a> Scanner<'a> {
    /// The next start tag outside of comments, declarations and the like.
    fn next_tag(&mut self) -> Option<Tag<'a>> {
        loop {
            self.rest = &self.rest[self.rest.find('<')?..];
            let end = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">"), ("</", ">")];
            match end.iter().find(|(begin, _)| self.rest.starts_with(begin)) {
                Some((_, end)) => self.rest = self.rest.split_once(end)?.1,
                None => {
                    let (tag, rest) = self.rest[1..].split_once('>')?;
                    self.rest = rest;
                    return Some(Tag(tag));
                }
            }
        }
    }

    /// The text up to the next tag, comments left out.
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
        // It breaks off, and so may the URL.
        self.rest = "";
        String::new()
    }
}

impl<'a> Tag<'a> {
    /// The prefix and the name.
    fn name(&self) -> (&'a str, &'a str) {
        let name = self.0.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        name.split_once(':').unwrap_or(("", name))
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

/// Undoes the five named entities, and numbers.
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
        assert_eq!(Sitemap::of(xml).pages, ["http://a.test/?x=1&y=2", "http://a.test/&"]);
        let index = "<sitemapindex><sitemap><loc>http://a.test/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(Sitemap::of(index).maps, ["http://a.test/1.xml"]);
        assert_eq!(Sitemap::of("http://a.test/1\r\nhttp://a.test/2\n\nx\n").pages.len(), 2);
        assert_eq!(Sitemap::of(""), Sitemap::default());
    }

    #[test]
    fn prefixes_comments_and_numbers_are_read_as_xml_has_them() {
        let xml = "<s:urlset xmlns:s=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
            xmlns:p='http://www.google.com/schemas/sitemap-image/1.1'><!-- <s:loc>no</s:loc> -->\
            <s:url><s:loc>/a?b&#61;1<!-- x -->2</s:loc><p:image><p:loc>no</p:loc></p:image>\
            <x:link rel='alternate' hreflang='de' href='/de&#x3F;'/><x:link rel='self' href='no'/></s:url></s:urlset>";
        assert_eq!(Sitemap::of(xml).pages, ["/a?b=12", "/de?"]);
        for broken in
            ["<", "<a", "<loc>", "<!--", "<loc><!--", "<loc><![CDATA[", "<link rel=", "<loc>&#x110000;</loc>"]
        {
            let _ = Sitemap::of(broken);
        }
    }
}
