//! What a crawl was asked to be: the builder's answers, with everything checked.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use selvedge::Clock;

use super::canonical::Canonical;
use super::credentials::Header;
use super::files::Folder;
use super::policy::{Ignore, Redirects};
use super::scope::ScopeRules;

/// Everything that the builder was told.
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
    pub(super) obey_robots: bool,
    pub(super) sitemaps: bool,
    pub(super) external: bool,
    pub(super) assets: bool,
    pub(super) fragments: bool,
    pub(super) external_fragments: bool,
    pub(super) canonical: Canonical,
    /// In addition to the one that each crawl is given.
    pub(super) starts: Vec<String>,
    /// Read from the disk.
    pub(super) folders: Vec<Folder>,
    pub(super) scope: ScopeRules,
    pub(super) ignored: Vec<Ignore>,
    pub(super) redirect_policy: Redirects,
    pub(super) tls: TlsSettings,
    pub(super) proxy: ProxyRule,
    pub(super) request: RequestSettings,
    pub(super) retry: RetrySettings,
    pub(super) grace: Duration,
    /// That of the thread that begins the crawl, if it is none.
    pub(super) clock: Option<Clock>,
}

/// What every request has in common.
#[derive(Clone, Debug)]
pub(super) struct RequestSettings {
    /// What servers are told; what stands before a slash is the name that robots.txt may call us by.
    pub(super) agent: String,
    pub(super) headers: Vec<Header>,
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) total: Duration,
    pub(super) body_cap: u64,
    pub(super) types: Vec<String>,
    /// The statuses of pages that are as they should be; those that usually are, if it is none.
    pub(super) accept: Option<Vec<RangeInclusive<u16>>>,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsSettings {
    /// In PEM, beside the public ones.
    pub(super) authorities: Vec<Vec<u8>>,
    /// Everybody's.
    pub(super) is_insecure: bool,
}

/// Which proxy is used.
#[derive(Clone, Default)]
pub(super) enum ProxyRule {
    /// What the environment says.
    #[default]
    Environment,
    Never,
    Url(String),
}

impl fmt::Debug for ProxyRule {
    /// Without the URL, in which a password may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyRule::Environment => "Environment",
            ProxyRule::Never => "Never",
            ProxyRule::Url(_) => "Url",
        })
    }
}

/// When and how often a request is made again.
#[derive(Clone, Debug)]
pub(super) struct RetrySettings {
    pub(super) times: u32,
    pub(super) first: Duration,
    pub(super) most: Duration,
    /// The longest `Retry-After` that is waited for.
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
    /// Whether a status is one of those that are as they should be. Redirects are followed whatever is.
    pub(super) fn accepts(&self, status: u16) -> bool {
        match &self.accept {
            Some(accept) => accept.iter().any(|range| range.contains(&status)),
            // A choice, and what is as it was, too: there is something.
            None => matches!(status, 200..=299 | 300 | 304),
        }
    }

    /// The name that robots.txt may call us by.
    pub(super) fn name(&self) -> &str {
        self.agent.split('/').next().unwrap_or_default()
    }
}
