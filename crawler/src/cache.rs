//! A cache of answers between runs, in a file.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use selvedge::sync::{Arc, Mutex};
use serde::{Deserialize, Serialize};

use super::canonical::is_http;
use super::fetch::{Body, Fetch, FetchError, Method, Request, Response};
use crate::panics::Held;

/// The first line of the file.
const FORMAT: &str = "selvedge-crawl-cache/1";
/// How long an answer is kept that no run requests.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// The headers that are stored: those that a crawl uses, and the validators.
const HEADERS: [&str; 6] = ["content-type", "link", "refresh", "etag", "last-modified", "content-length"];

/// Stores answers in a file between runs, so that a second run needs fewer and smaller requests.
///
/// A page that is read for links is revalidated in every run, by its `ETag` or `Last-Modified`, and is not
/// sent again if it has not changed. A URL that is only checked (a link to another host, a picture) is not
/// requested again while the answer is younger than the maximum age. Only successes are stored, so dead
/// links are checked in every run. Answers to requests with credentials or cookies are not stored, nor are
/// those with `no-store`.
///
/// A clone shares the cache. [`save`](Cache::save) replaces the file atomically, so an interrupted run
/// keeps the earlier one.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge_crawl::{Cache, Crawler, MemorySite};
///
/// # let file = std::env::temp_dir().join(format!("selvedge-crawl-cache-{}", std::process::id()));
/// let site = MemorySite::new()
///     .page("http://loom.test/", "<a href=http://other.test/>other</a>")
///     .page("http://other.test/", "");
/// for _ in 0..2 {
///     let cache = Cache::open(&file, Duration::from_secs(3600))?;
///     let crawler = Crawler::builder().fetch(site.clone()).external(true).cache(&cache).build()?;
///     assert_eq!(crawler.run("http://loom.test/")?.fetched(), 2);
///     cache.save()?;
/// }
/// let to_other = site.asked().into_iter().filter(|asked| asked.url == "http://other.test/").count();
/// assert_eq!(to_other, 1);
/// # std::fs::remove_file(&file)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a cache does nothing until a builder is given it"]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    age: Duration,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
}

/// Whether the body was requested, and the URL.
type Key = (bool, String);

/// A stored answer, and a line of the file.
#[derive(Serialize, Deserialize)]
struct Entry {
    url: String,
    read: bool,
    status: u16,
    headers: Vec<(String, String)>,
    /// When it was last validated, in seconds since 1970.
    at: u64,
    /// The body, compressed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "packed")]
    body: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
}

/// The file cannot be used as a cache.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheError {
    /// It cannot be read.
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not a cache, so it should be left alone.
    Foreign {
        /// Its path.
        file: PathBuf,
    },
    /// It is a damaged cache.
    Broken {
        /// Its path.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl Cache {
    /// Creates an empty cache. [`save`](Cache::save) replaces the file's contents.
    pub fn new(file: impl Into<PathBuf>, max_age: Duration) -> Self {
        let shared = Shared { file: file.into(), age: max_age, entries: Mutex::default() };
        Cache { shared: Arc::new(shared) }
    }

    /// Opens the cache in a file; an empty one if the file does not exist or is empty.
    ///
    /// # Errors
    /// [`CacheError::Unreadable`], [`CacheError::Foreign`] or [`CacheError::Broken`].
    pub fn open(file: impl AsRef<Path>, max_age: Duration) -> Result<Self, CacheError> {
        let path = file.as_ref();
        let unreadable = |error| CacheError::Unreadable { file: path.to_owned(), error };
        let cache = Cache::new(path, max_age);
        let open = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(cache),
            open => open.map_err(unreadable)?,
        };
        let mut lines = BufReader::new(open).split(b'\n');
        let Some(head) = lines.next() else { return Ok(cache) };
        let head: Option<Head> = serde_json::from_slice(&head.map_err(unreadable)?).ok();
        if head.is_none_or(|head| head.format != FORMAT) {
            return Err(CacheError::Foreign { file: path.to_owned() });
        }
        {
            let mut entries = cache.shared.entries.lock();
            for (line, text) in (2..).zip(lines) {
                let entry: Entry = serde_json::from_slice(&text.map_err(unreadable)?)
                    .map_err(|_| CacheError::Broken { file: path.to_owned(), line })?;
                entries.insert((entry.read, entry.url.clone()), Arc::new(entry));
            }
        }
        Ok(cache)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// An I/O error. The file is then unchanged.
    pub fn save(&self) -> io::Result<()> {
        let Shared { file, age, entries } = &*self.shared;
        let (kept, now) = (KEPT.max(*age).as_secs(), now());
        let entries: Vec<Arc<Entry>> = entries.lock().values().cloned().collect();
        let mut name = file.clone().into_os_string();
        name.push(format!(".{}.part", std::process::id()));
        let part = PathBuf::from(name);
        let write = || -> io::Result<()> {
            let mut to = BufWriter::new(File::create(&part)?);
            serde_json::to_writer(&mut to, &Head { format: FORMAT.to_owned() })?;
            for entry in entries.iter().filter(|entry| now.saturating_sub(entry.at) < kept) {
                to.write_all(b"\n")?;
                serde_json::to_writer(&mut to, &**entry)?;
            }
            to.flush()?;
            fs::rename(&part, file)
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })
    }

    /// Wraps a fetcher, which is asked for what the cache does not have.
    pub fn around(&self, fetch: impl Fetch + 'static) -> impl Fetch + 'static {
        self.before(Arc::new(Held::new(fetch)))
    }

    pub(super) fn before(&self, fetch: Arc<dyn Fetch>) -> Cached {
        Cached { cache: self.clone(), fetch }
    }

    fn known(&self, key: &Key) -> Option<Arc<Entry>> {
        self.shared.entries.lock().get(key).cloned()
    }
}

/// A fetcher behind a cache.
pub(super) struct Cached {
    cache: Cache,
    fetch: Arc<dyn Fetch>,
}

impl Fetch for Cached {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        let is_private = request.headers.iter().any(|(name, _)| {
            ["authorization", "cookie", "proxy-authorization"]
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other))
        });
        if is_private || !is_http(request.url) {
            return self.fetch.fetch(request);
        }
        let is_read = request.method == Method::Get && !request.types.iter().any(|wanted| wanted == "-");
        let key = (is_read, request.url.to_string());
        let known = self.cache.known(&key).and_then(|entry| Some((entry.answer(request)?, entry)));
        let Some((answer, entry)) = known else {
            let response = self.fetch.fetch(request)?;
            self.keep(key, &response);
            return Ok(response);
        };
        if !is_read && Duration::from_secs(now().saturating_sub(entry.at)) < self.cache.shared.age {
            return Ok(answer);
        }
        let mut headers = request.headers.to_vec();
        headers.extend(entry.conditions());
        let response = self.fetch.fetch(&Request { headers: &headers, ..request.clone() })?;
        if response.status == 304 && headers.len() > request.headers.len() {
            self.keep(key, &answer);
            return Ok(answer);
        }
        self.keep(key, &response);
        Ok(response)
    }
}

impl Cached {
    /// Stores an answer if it may be stored; removes the previous one otherwise.
    fn keep(&self, key: Key, response: &Response) {
        let (read, url) = key.clone();
        let is_success = (200..300).contains(&response.status) && response.status != 206;
        let no_store =
            response.get("cache-control").is_some_and(|text| text.to_ascii_lowercase().contains("no-store"));
        let body = match &response.body {
            Body::Read(body) => Some(pack(body)),
            _ => None,
        };
        // A body that nothing is known by is sent again anyway.
        let is_known_by = response.get("etag").or(response.get("last-modified")).is_some();
        let is_kept = is_success && !no_store && (is_known_by || !read);
        let headers = response
            .headers
            .iter()
            .filter(|(name, _)| HEADERS.iter().any(|kept| name.eq_ignore_ascii_case(kept)));
        let entry = is_kept.then(|| Entry {
            url,
            read,
            status: response.status,
            headers: headers.cloned().collect(),
            at: now(),
            body,
        });
        let mut entries = self.cache.shared.entries.lock();
        match entry {
            Some(entry) => entries.insert(key, Arc::new(entry)),
            None => entries.remove(&key),
        };
    }
}

impl Entry {
    /// The stored answer to a request; `None` if the request wants a body that is not stored.
    fn answer(&self, request: &Request<'_>) -> Option<Response> {
        let mut response =
            Response { status: self.status, headers: self.headers.clone(), body: Body::Unread };
        if request.wants(self.status, response.content_type()) {
            let body = unpack(self.body.as_deref()?).ok().filter(|body| body.len() as u64 <= request.cap)?;
            response.body = Body::Read(body);
        }
        Some(response)
    }

    /// The headers of a conditional request.
    fn conditions(&self) -> Vec<(String, String)> {
        let of = |kept: &str, name: &str| {
            let value = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(kept));
            value.map(|(_, value)| (name.to_owned(), value.clone()))
        };
        of("etag", "If-None-Match").or_else(|| of("last-modified", "If-Modified-Since")).into_iter().collect()
    }
}

fn pack(body: &[u8]) -> Vec<u8> {
    let mut to = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing to a `Vec` does not fail.
    let _ = to.write_all(body);
    to.finish().unwrap_or_default()
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    DeflateDecoder::new(packed).read_to_end(&mut body)?;
    Ok(body)
}

/// Seconds since 1970 on the system's clock, which other runs share.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A compressed body as text.
mod packed {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(body: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        body.as_ref().map(|body| BASE64_STANDARD.encode(body)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}

// An entry is put in and taken out as a whole, and no code of a caller's runs under the lock.
impl UnwindSafe for Cache {}
impl RefUnwindSafe for Cache {}

impl fmt::Debug for Cache {
    /// Never waits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheError::Unreadable { file, error } => {
                write!(f, "the cache {} cannot be read: {error}", file.display())
            }
            CacheError::Foreign { file } => write!(f, "{} is no cache of this program", file.display()),
            CacheError::Broken { file, line } => {
                write!(f, "the cache {} is broken in line {line}", file.display())
            }
        }
    }
}

impl std::error::Error for CacheError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CacheError::Unreadable { error, .. } => Some(error),
            _ => None,
        }
    }
}
