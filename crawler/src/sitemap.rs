//! The URLs in a sitemap: XML, an index of further ones, or a line each.

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
        let is_index = text.contains("<sitemapindex");
        let locations: Vec<String> = locations(text).collect();
        match is_index {
            true => Sitemap { pages: Vec::new(), maps: locations },
            false => Sitemap { pages: locations, maps: Vec::new() },
        }
    }
}

/// The texts between `<loc>` and `</loc>`.
fn locations(text: &str) -> impl Iterator<Item = String> {
    text.split("<loc>").skip(1).filter_map(|rest| rest.split_once("</loc>")).map(|(location, _)| {
        let location = location.trim();
        let bare = location.strip_prefix("<![CDATA[").and_then(|text| text.strip_suffix("]]>"));
        match bare {
            Some(text) => text.trim().to_owned(),
            None => location
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&apos;", "'")
                .replace("&amp;", "&"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_maps_and_lines_are_told_apart() {
        let xml = "<?xml version='1.0'?><urlset><url><loc> http://a.test/?x=1&amp;y=2 </loc></url>
            <url><loc><![CDATA[http://a.test/&]]></loc></url><url><loc>unclosed";
        assert_eq!(Sitemap::of(xml).pages, ["http://a.test/?x=1&y=2", "http://a.test/&"]);
        let index = "<sitemapindex><sitemap><loc>http://a.test/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(Sitemap::of(index).maps, ["http://a.test/1.xml"]);
        assert_eq!(Sitemap::of("http://a.test/1\r\nhttp://a.test/2\n\nx\n").pages.len(), 2);
        assert_eq!(Sitemap::of(""), Sitemap::default());
    }
}
