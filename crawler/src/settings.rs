//! The settings of a crawl, as the builder collects them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use selvedge::Clock;

use super::builder::Pace;
use super::canonical::Canonical;
use super::credentials::Header;
use super::files::Folder;
use super::policy::{Ignore, Redirects};
use super::scope::ScopeRules;

/// All settings of a crawl.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) depth: u32,
    pub(super) pages: usize,
    pub(super) time: Option<Duration>,
    pub(super) urls: usize,
    pub(super) links: usize,
    pub(super) redirects: u32,
    pub(super) workers: usize,
    pub(super) per_host: usize,
    pub(super) delay: Duration,
    /// For single origins.
    pub(super) paces: Vec<Pace>,
    pub(super) obey_robots: bool,
    pub(super) sitemaps: bool,
    pub(super) external: bool,
    pub(super) assets: bool,
    pub(super) fragments: bool,
    pub(super) external_fragments: bool,
    pub(super) canonical: Canonical,
    /// Starts in addition to the one that each crawl is given.
    pub(super) starts: Vec<String>,
    /// Folders that are read from the disk.
    pub(super) folders: Vec<Folder>,
    pub(super) scope: ScopeRules,
    pub(super) ignored: Vec<Ignore>,
    pub(super) redirect_policy: Redirects,
    pub(super) tls: TlsSettings,
    pub(super) proxy: ProxyRule,
    pub(super) request: RequestSettings,
    pub(super) retry: RetrySettings,
    pub(super) grace: Duration,
    /// `None` for the clock of the thread that starts the crawl.
    pub(super) clock: Option<Clock>,
}

/// The settings of every request.
#[derive(Clone, Debug)]
pub(super) struct RequestSettings {
    /// The user agent; the part before a slash is the crawler's name in robots.txt.
    pub(super) agent: String,
    pub(super) headers: Vec<Header>,
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) total: Duration,
    pub(super) body_cap: u64,
    pub(super) types: Vec<String>,
    /// The statuses that mean success; `None` for the usual ones.
    pub(super) accept: Option<Vec<RangeInclusive<u16>>>,
}

/// Which certificates are trusted.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsSettings {
    /// Authorities in PEM, in addition to the public ones.
    pub(super) authorities: Vec<Vec<u8>>,
    /// Certificates are not verified.
    pub(super) is_insecure: bool,
}

/// The proxy that requests go through.
#[derive(Clone, Default)]
pub(super) enum ProxyRule {
    /// The one in the environment, if any.
    #[default]
    Environment,
    Never,
    Url(String),
}

impl fmt::Debug for ProxyRule {
    /// Omits the URL, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyRule::Environment => "Environment",
            ProxyRule::Never => "Never",
            ProxyRule::Url(_) => "Url",
        })
    }
}

/// When and how often a request is retried.
#[derive(Clone, Debug)]
pub(super) struct RetrySettings {
    pub(super) times: u32,
    pub(super) first: Duration,
    pub(super) most: Duration,
    /// The longest `Retry-After` that is obeyed.
    pub(super) patience: Duration,
    pub(super) seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            depth: u32::MAX,
            pages: usize::MAX,
            time: None,
            urls: 1_000_000,
            links: 20_000_000,
            redirects: 20,
            workers: 8,
            per_host: 6,
            delay: Duration::ZERO,
            paces: Vec::new(),
            obey_robots: true,
            sitemaps: false,
            external: false,
            assets: false,
            fragments: false,
            external_fragments: false,
            canonical: Canonical::default(),
            starts: Vec::new(),
            folders: Vec::new(),
            scope: ScopeRules::default(),
            ignored: Vec::new(),
            redirect_policy: Redirects::default(),
            tls: TlsSettings::default(),
            proxy: ProxyRule::default(),
            request: RequestSettings::default(),
            retry: RetrySettings::default(),
            grace: Duration::from_millis(300),
            clock: None,
        }
    }
}

impl Default for RequestSettings {
    fn default() -> Self {
        RequestSettings {
            agent: concat!("selvedge-crawl/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: Vec::new(),
            connect: Duration::from_secs(10),
            read: Duration::from_secs(20),
            total: Duration::from_secs(30),
            body_cap: 4 << 20,
            accept: None,
            types: ["text/html", "application/xhtml+xml", "text/markdown"].map(str::to_owned).to_vec(),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            times: 2,
            first: Duration::from_millis(500),
            most: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            seed: 0,
        }
    }
}

impl RequestSettings {
    /// Whether a status means success. Redirects are followed in any case.
    pub(super) fn accepts(&self, status: u16) -> bool {
        match &self.accept {
            Some(accept) => accept.iter().any(|range| range.contains(&status)),
            // A choice, and what is as it was, too: there is something.
            None => matches!(status, 200..=299 | 300 | 304),
        }
    }

    /// Whether the user has named a status as one of a page that is as it should be.
    pub(super) fn names(&self, status: u16) -> bool {
        self.accept.is_some() && self.accepts(status)
    }

    /// The crawler's name in robots.txt.
    pub(super) fn name(&self) -> &str {
        self.agent.split('/').next().unwrap_or_default()
    }
}
