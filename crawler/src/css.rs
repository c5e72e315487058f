//! The URLs in a style sheet: `url(..)`, and the strings of `@import`.
//!
//! Only as many tokens are told apart as that takes, by the rules of CSS Syntax: comments, strings with their
//! escapes, and URLs without quotes. What `@namespace` names is a name and not a place.

/// A URL in a sheet.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) url: String,
    /// It is a sheet, too.
    pub(super) is_sheet: bool,
}

/// The URLs in a sheet, in its order.
pub(super) fn urls(css: &str) -> Vec<Named> {
    let mut scanner = Scanner { rest: css };
    let (mut urls, mut rule) = (Vec::new(), Rule::Other);
    while let Some(c) = scanner.rest.chars().next() {
        match c {
            '/' if scanner.rest.starts_with("/*") => {
                scanner.rest = scanner.rest[2..].split_once("*/").map_or("", |(_, rest)| rest);
            }
            '"' | '\'' => {
                let text = scanner.string(c);
                if rule == Rule::Import {
                    urls.push(Named { url: text, is_sheet: true });
                    rule = Rule::Other;
                }
            }
            '@' => {
                scanner.advance(1);
                rule = match scanner.name().to_ascii_lowercase().as_str() {
                    "import" => Rule::Import,
                    "namespace" => Rule::Namespace,
                    _ => Rule::Other,
                };
            }
            ';' | '{' | '}' => {
                scanner.advance(1);
                rule = Rule::Other;
            }
            _ if is_name(c) => {
                let name = scanner.name();
                if name.eq_ignore_ascii_case("url")
                    && scanner.rest.starts_with('(')
                    && let Some(url) = scanner.url()
                    && rule != Rule::Namespace
                {
                    urls.push(Named { url, is_sheet: rule == Rule::Import });
                    rule = Rule::Other;
                }
            }
            c => scanner.advance(c.len_utf8()),
        }
    }
    urls
}

#[derive(PartialEq)]
enum Rule {
    Import,
    Namespace,
    Other,
}

struct Scanner<'a> {
    rest: &'a str,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '\\') || !c.is_ascii()
}

impl Scanner<'_> {
    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.advance(c.len_utf8());
        Some(c)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.rest.chars().next().filter(|&c| is_name(c)) {
            self.advance(c.len_utf8());
            match c {
                '\\' => name.extend(self.escape()),
                _ => name.push(c),
            }
        }
        name
    }

    /// What a backslash stands for that was just taken.
    fn escape(&mut self) -> Option<char> {
        let digits = self.rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        if digits == 0 {
            // An escaped line end is none.
            return self.next().filter(|&c| c != '\n');
        }
        let code = u32::from_str_radix(&self.rest[..digits], 16).unwrap_or(0);
        self.advance(digits);
        // One space ends it.
        if self.rest.starts_with([' ', '\t', '\n']) {
            self.advance(1);
        }
        Some(char::from_u32(code).filter(|&c| c != '\0').unwrap_or('\u{fffd}'))
    }

    /// The string that begins with this quote; up to the end of the line if it does not end before.
    fn string(&mut self, quote: char) -> String {
        self.advance(1);
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '\\' => text.extend(self.escape()),
                '\n' => break,
                c if c == quote => break,
                c => text.push(c),
            }
        }
        text
    }

    /// What stands in the parentheses after `url`; `None` if that is no URL.
    fn url(&mut self) -> Option<String> {
        self.advance(1);
        self.skip_space();
        if let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            return Some(self.string(quote));
        }
        let mut url = String::new();
        while let Some(c) = self.next() {
            match c {
                ')' => return Some(url),
                '\\' => url.extend(self.escape()),
                ' ' | '\t' | '\r' | '\n' => {
                    self.skip_space();
                    return self.rest.starts_with(')').then_some(url);
                }
                '"' | '\'' | '(' => return None,
                c => url.push(c),
            }
        }
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::urls;

    #[test]
    fn urls_are_found_where_a_browser_would_load_them() {
        let css = "@charset \"utf-8\"; @import 'a.css' screen; @IMPORT url(b.css);\n\
            @namespace svg url(http://www.w3.org/2000/svg); /* url(no) */\n\
            a { background: url( 'c d.png' ) , URL(e\\29 .png); content: \"url(no)\" }\n\
            @font-face { src: url(f.woff) format('woff'), local('g') } b { x: curl(no); y: url(bad url) }\n\
            c { background: url(h.png";
        let found = urls(css);
        let names: Vec<_> = found.iter().map(|named| named.url.as_str()).collect();
        assert_eq!(names, ["a.css", "b.css", "c d.png", "e).png", "f.woff", "h.png"]);
        assert_eq!(found.iter().filter(|named| named.is_sheet).count(), 2);
    }

    #[test]
    fn a_sheet_that_breaks_off_ends() {
        for css in ["/*", "'", "url(", "url('", "@import", "\\", "@import '\\", "url(\\"] {
            let _ = urls(css);
        }
    }
}
