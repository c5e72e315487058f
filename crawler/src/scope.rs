//! Which URLs a crawl fetches and reads.

use std::collections::BTreeSet;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;
use selvedge::sync::RwLock;
use selvedge::sync::atomic::{AtomicBool, Ordering};
use url::Url;

use super::canonical::is_file;
use super::credentials::without_login;
use super::files::{Folder, innermost};

/// A pattern for URLs: a glob, or a regular expression.
///
/// ```
/// use selvedge_crawl::Pattern;
///
/// let glob = Pattern::glob("*/archive/*")?;
/// assert!(glob.matches("http://loom.test/archive/1801"));
/// let days = Pattern::regex(r"\?day=\d+$")?;
/// assert!(days.matches("http://loom.test/calendar?day=12"));
/// let below = Pattern::glob("/docs/*")?;
/// assert!(below.matches("http://loom.test/docs/a?b") && !below.matches("http://loom.test/a?/docs/b"));
/// assert!(Pattern::glob("[").is_err());
/// # Ok::<(), selvedge_crawl::PatternError>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Glob(GlobMatcher),
    Regex(Regex),
}

/// The text is not a valid pattern.
#[derive(Clone, Debug)]
pub struct PatternError {
    text: String,
    reason: String,
}

impl Pattern {
    /// A glob over the whole URL: `*` matches anything, slashes included, `?` one character, `[ab]` one of
    /// these, `{a,b}` either. A glob that begins with a slash is matched against the path only, which for a
    /// file is relative to its [`Folder`]: `/archive/*`.
    ///
    /// # Errors
    /// [`PatternError`] if `glob` is not a valid glob.
    pub fn glob(glob: &str) -> Result<Self, PatternError> {
        let built = GlobBuilder::new(glob).literal_separator(false).build();
        let glob = built.map_err(|error| PatternError::new(glob, error.kind()))?;
        Ok(Pattern { text: glob.glob().to_owned(), matcher: Matcher::Glob(glob.compile_matcher()) })
    }

    /// A regular expression that matches anywhere in the URL.
    ///
    /// # Errors
    /// [`PatternError`] if `regex` is not a valid regular expression.
    pub fn regex(regex: &str) -> Result<Self, PatternError> {
        let regex = Regex::new(regex).map_err(|error| PatternError::new(regex, error))?;
        Ok(Pattern { text: regex.as_str().to_owned(), matcher: Matcher::Regex(regex) })
    }

    /// Whether it matches `url`.
    pub fn matches(&self, url: &str) -> bool {
        let after_host = url.find("://").and_then(|at| url[at + 3..].find('/').map(|path| at + 3 + path));
        let path = url[after_host.unwrap_or(url.len())..].split(['?', '#']).next();
        self.matches_at(url, path.unwrap_or_default())
    }

    /// Whether it matches a URL with this path.
    fn matches_at(&self, url: &str, path: &str) -> bool {
        match &self.matcher {
            Matcher::Glob(glob) if self.text.starts_with('/') => glob.is_match(path),
            Matcher::Glob(glob) => glob.is_match(url),
            Matcher::Regex(regex) => regex.is_match(url),
        }
    }
}

impl fmt::Display for Pattern {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PatternError {
    fn new(text: &str, reason: impl fmt::Display) -> Self {
        PatternError { text: text.to_owned(), reason: reason.to_string() }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a pattern: {}", self.text, self.reason)
    }
}

impl std::error::Error for PatternError {}

/// The scope as the builder collects it.
#[derive(Clone, Debug, Default)]
pub(super) struct ScopeRules {
    pub(super) hosts: Vec<String>,
    pub(super) subdomains: bool,
    pub(super) prefixes: Vec<String>,
    pub(super) include: Vec<Pattern>,
    pub(super) exclude: Vec<Pattern>,
}

/// The scope of one crawl: its rules, and the hosts of its starts.
#[derive(Debug)]
pub(super) struct Scope {
    rules: ScopeRules,
    /// Folders that are read from the disk; they are in the scope whatever the hosts are.
    folders: Vec<Folder>,
    /// By name; ports do not matter.
    hosts: RwLock<BTreeSet<String>>,
    /// For each pattern, those to include first, whether it has matched a URL of the hosts.
    matched: Vec<AtomicBool>,
}

impl Scope {
    pub(super) fn new(rules: ScopeRules, folders: &[Folder]) -> Self {
        let hosts = rules.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let matched = rules.patterns().map(|_| AtomicBool::new(false)).collect();
        Scope { rules, folders: folders.to_vec(), hosts: RwLock::new(hosts), matched }
    }

    /// Adds the host of `url` to the scope, unless `url` is read from the disk.
    pub(super) fn add_host(&self, url: &Url) {
        if self.is_local(url) {
            return;
        }
        self.hosts.write().insert(name(url).to_owned());
    }

    pub(super) fn hosts(&self) -> Vec<String> {
        self.hosts.read().iter().cloned().collect()
    }

    /// Whether `url` is read from the disk.
    pub(super) fn is_local(&self, url: &Url) -> bool {
        is_file(url) || self.folder_of(url).is_some()
    }

    /// The folder that a page is in.
    pub(super) fn folder_of(&self, url: &Url) -> Option<&Folder> {
        innermost(&self.folders, url)
    }

    /// Whether the host of `url` is in the scope.
    pub(super) fn has_host_of(&self, url: &Url) -> bool {
        self.has_host(name(url))
    }

    /// Whether `url` is crawled: its host, its path and the patterns all allow it.
    pub(super) fn allows(&self, url: &Url) -> bool {
        let rules = &self.rules;
        let folder = self.folder_of(url);
        let path = folder.and_then(|folder| folder.path_of(url)).unwrap_or_else(|| url.path());
        let text = url.as_str();
        if folder.is_none() && !self.has_host(name(url)) {
            return false;
        }
        let (include, exclude) = self.matched.split_at(rules.include.len());
        let (included, excluded) = (
            matches_any(&rules.include, include, text, path),
            matches_any(&rules.exclude, exclude, text, path),
        );
        (rules.prefixes.is_empty() || rules.prefixes.iter().any(|prefix| path.starts_with(prefix)))
            && (rules.include.is_empty() || included)
            && !excluded
    }

    /// The patterns that have matched no URL.
    pub(super) fn unmatched(&self) -> Vec<String> {
        let patterns = self.rules.patterns().zip(&self.matched);
        // Relaxed: asked when the workers have gone, or for what was so a moment ago.
        let unmatched = patterns.filter(|(_, matched)| !matched.load(Ordering::Relaxed));
        unmatched.map(|(pattern, _)| without_login(&pattern.text)).collect()
    }

    fn has_host(&self, name: &str) -> bool {
        let hosts = self.hosts.read();
        let below = |host: &String| name.strip_suffix(host.as_str()).is_some_and(|rest| rest.ends_with('.'));
        hosts.contains(name) || (self.rules.subdomains && hosts.iter().any(below))
    }
}

/// Whether any pattern matches. Records each that does.
fn matches_any(patterns: &[Pattern], matched: &[AtomicBool], url: &str, path: &str) -> bool {
    let mut any = false;
    for (_, matched) in patterns.iter().zip(matched).filter(|(pattern, _)| pattern.matches_at(url, path)) {
        // Relaxed: nothing is published with it.
        matched.store(true, Ordering::Relaxed);
        any = true;
    }
    any
}

impl ScopeRules {
    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.include.iter().chain(&self.exclude)
    }
}

/// The host's name, which the scope consists of.
fn name(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rules: ScopeRules, url: &str) -> bool {
        let scope = Scope::new(rules, &[]);
        scope.add_host(&Url::parse("http://loom.test/").unwrap());
        scope.allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_is_its_name_whatever_the_port() {
        assert!(allows(ScopeRules::default(), "https://LOOM.test:8443/x"));
        assert!(!allows(ScopeRules::default(), "http://sub.loom.test/"));
        assert!(!allows(ScopeRules::default(), "http://overloom.test/"));
    }

    #[test]
    fn subdomains_are_in_if_asked_for() {
        let rules = || ScopeRules { subdomains: true, ..ScopeRules::default() };
        assert!(allows(rules(), "http://a.b.loom.test/"));
        assert!(!allows(rules(), "http://overloom.test/"));
    }

    #[test]
    fn a_pattern_that_begins_with_a_slash_is_held_against_the_path_alone() {
        let rules =
            |glob: &str| ScopeRules { exclude: vec![Pattern::glob(glob).unwrap()], ..ScopeRules::default() };
        assert!(!allows(rules("/old/*"), "http://loom.test/old/a?b"));
        assert!(allows(rules("/old/*"), "http://loom.test/new/?from=/old/a"));
        assert!(allows(rules("/old/*"), "http://loom.test/x/old/a"));
        assert!(!allows(rules("*/old/*"), "http://loom.test/x/old/a"));
    }

    #[test]
    fn a_url_needs_a_prefix_an_include_and_no_exclude() {
        let rules = ScopeRules {
            hosts: vec!["Other.test".into()],
            prefixes: vec!["/docs/".into(), "/book/".into()],
            include: vec![Pattern::glob("*.html").unwrap()],
            exclude: vec![Pattern::regex("/old/").unwrap()],
            ..ScopeRules::default()
        };
        assert!(allows(rules.clone(), "http://other.test/docs/a.html"));
        assert!(allows(rules.clone(), "http://loom.test/book/a/b.html"));
        assert!(!allows(rules.clone(), "http://loom.test/a.html"));
        assert!(!allows(rules.clone(), "http://loom.test/docs/a.txt"));
        assert!(!allows(rules, "http://loom.test/docs/old/a.html"));
    }
}
