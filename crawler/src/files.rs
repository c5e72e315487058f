//! Pages in a folder on this machine.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use percent_encoding::percent_decode_str;
use selvedge::sync::Arc;
use url::{Position, Url};

use super::canonical::is_http;
use super::credentials::without_login;
use super::fetch::{Body, ErrorKind, Fetch, FetchError, Request, Response};
use crate::panics::Held;

/// The files that stand for their folder, in this order. A server sends one of the first two itself.
const INDEX: [&str; 5] = ["index.html", "index.htm", "index.md", "README.md", "readme.md"];
const SERVED: usize = 2;

/// What a file without a type that matters is.
const BYTES: &str = "application/octet-stream";

/// A folder on this machine whose files are crawled like the pages of a site.
///
/// Its pages have `file:` URLs, or those that they will have where the folder is
/// [published](Folder::published_at). Reading them takes no network. Links that lead out of the folder to
/// other files are only looked at; links to servers need [`external`](super::Builder::external).
///
/// A link that begins with `/` starts at the folder. A folder inside it is its `index.html`, `index.md` or
/// `README.md`; one without any of them is there, but where the folder is published it is missing, since a
/// server has nothing to send. HTML and Markdown are read for links, and a heading in Markdown has the anchor
/// that GitHub gives it.
///
/// # Examples
/// ```
/// use selvedge_crawl::{Crawler, Folder};
///
/// # let path = std::env::temp_dir().join(format!("selvedge-crawl-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&path)?;
/// std::fs::write(path.join("README.md"), "# Weaving\n\n[yarn](yarn.md#colours) [self](#weaving)")?;
/// std::fs::write(path.join("yarn.md"), "# Yarn\n\n[home](README.md)")?;
/// let folder = Folder::open(&path)?;
/// let start = folder.url_of(path.join("README.md")).unwrap();
/// let report = Crawler::builder().folder(folder).fragments(true).build()?.run(&start)?;
/// let dead = report.dead_links();
/// assert!(dead.len() == 1 && dead[0].url.ends_with("/yarn.md#colours"));
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a folder does nothing until a builder is given it"]
pub struct Folder {
    path: PathBuf,
    /// Its URL, which ends with a slash.
    at: Url,
    is_published: bool,
    fall_back: Option<String>,
}

/// Why a folder cannot be crawled.
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be read, or is no folder.
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The URL where it is published is no URL of a server.
    BadBase(String),
}

impl Folder {
    /// A folder whose pages have `file:` URLs.
    ///
    /// # Errors
    /// [`FolderError::Unreadable`] if it is not there or is no folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let unreadable = |error| FolderError::Unreadable { path: path.to_owned(), error };
        let whole = fs::canonicalize(path).map_err(unreadable)?;
        let at = Url::from_directory_path(&whole).ok().filter(|_| whole.is_dir());
        let at = at.ok_or_else(|| unreadable(io::ErrorKind::NotADirectory.into()))?;
        Ok(Folder { path: whole, at, is_published: false, fall_back: None })
    }

    /// The same folder, with the URLs that its pages have once it is published there: a link to one of them
    /// is a link to a file, whether it is written in full or not.
    ///
    /// # Errors
    /// [`FolderError::BadBase`] if `base` is no http or https URL.
    pub fn published_at(mut self, base: &str) -> Result<Self, FolderError> {
        let bad = || FolderError::BadBase(without_login(base));
        let mut at = Url::parse(base).ok().filter(is_http).ok_or_else(bad)?;
        at.set_query(None);
        if !at.path().ends_with('/') {
            at.set_path(&format!("{}/", at.path()));
        }
        self.at = super::Canonical::new().of(at);
        self.is_published = true;
        Ok(self)
    }

    /// Tries a path that is missing once more with this extension, as servers do that have `/about` for
    /// `about.html`.
    pub fn fall_back_to(mut self, extension: impl Into<String>) -> Self {
        self.fall_back = Some(extension.into());
        self
    }

    /// The folder's own URL.
    pub fn url(&self) -> &str {
        self.at.as_str()
    }

    /// The URL of a path in it; `None` for one that is not in it.
    pub fn url_of(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        // A link inside the folder is what it is called, wherever it leads.
        let whole = match path.strip_prefix(&self.path) {
            Ok(_) => path.to_owned(),
            Err(_) => fs::canonicalize(path).ok()?,
        };
        let inner = whole.strip_prefix(&self.path).ok()?;
        let mut url = self.at.clone();
        let mut segments = url.path_segments_mut().ok()?;
        segments.pop_if_empty();
        for name in inner.iter() {
            segments.push(name.to_str()?);
        }
        if whole.is_dir() {
            segments.push("");
        }
        drop(segments);
        Some(url.into())
    }

    /// The URLs of all pages in it, HTML and Markdown, in the order of their names. Hidden files and those
    /// that git ignores are left out.
    ///
    /// # Errors
    /// Those of reading a folder.
    pub fn pages(&self) -> io::Result<Vec<String>> {
        self.pages_below(&self.path)
    }

    /// The same of a folder in it.
    ///
    /// # Errors
    /// Those of reading a folder.
    pub fn pages_below(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let path = fs::canonicalize(path)?;
        // What is above the folder has no say: a site that was built is often ignored by its repository.
        let walk = WalkBuilder::new(path).parents(false).sort_by_file_name(Ord::cmp).build();
        let mut pages = Vec::new();
        for entry in walk {
            let entry =
                entry.map_err(|error| error.into_io_error().unwrap_or(io::ErrorKind::Other.into()))?;
            let is_page =
                matches!(mime(entry.path()), "text/html" | "application/xhtml+xml" | "text/markdown");
            if !is_page || !entry.path().is_file() {
                continue;
            }
            // A server sends the index as the folder.
            let is_index = INDEX[..SERVED].iter().any(|name| entry.file_name() == *name);
            let page = if self.is_published && is_index { entry.path().parent() } else { Some(entry.path()) };
            pages.extend(page.and_then(|page| self.url_of(page)));
        }
        Ok(pages)
    }

    /// True of a URL that is its own or below it.
    pub(super) fn holds(&self, url: &Url) -> bool {
        url[..Position::AfterPath].starts_with(self.at.as_str())
    }

    /// The path of a URL inside the folder, with a slash before it.
    pub(super) fn path_of<'u>(&self, url: &'u Url) -> Option<&'u str> {
        self.holds(url).then(|| &url[..Position::AfterPath][self.at.as_str().len() - 1..])
    }

    /// Where a link that begins with a slash starts, if not at the host.
    pub(super) fn root(&self) -> Option<&Url> {
        (!self.is_published).then_some(&self.at)
    }

    /// The file of a URL; `None` if no file can have such a name.
    fn file_of(&self, url: &Url) -> Option<PathBuf> {
        let mut file = self.path.clone();
        for name in self.path_of(url)?.split('/').filter(|name| !name.is_empty()) {
            let name = percent_decode_str(name).decode_utf8().ok()?;
            // Written as `%2e%2e` or with `%2f`, they would lead out.
            let leads_out = name.contains(['/', '\0']) || (cfg!(windows) && name.contains(['\\', ':']));
            if leads_out || matches!(&*name, "." | "..") {
                return None;
            }
            file.push(&*name);
        }
        Some(file)
    }
}

/// Answers requests for pages in folders from the disk, and hands all others on. A `file:` URL outside them
/// is answered too.
///
/// A builder that is [given a folder](super::Builder::folder) sets this up by itself; on its own it serves a
/// fetcher that is put together by hand.
///
/// # Blocking
/// A file is read at once, whatever the request's time-outs.
pub struct Files {
    folders: Vec<Folder>,
    otherwise: Arc<dyn Fetch>,
}

impl Files {
    /// Answers from `folders`, and asks `otherwise` for everything else.
    pub fn new(folders: impl IntoIterator<Item = Folder>, otherwise: impl Fetch + 'static) -> Self {
        Files::around(folders.into_iter().collect(), Arc::new(Held::new(otherwise)))
    }

    pub(super) fn around(folders: Vec<Folder>, otherwise: Arc<dyn Fetch>) -> Self {
        Files { folders, otherwise }
    }
}

impl Fetch for Files {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        match innermost(&self.folders, request.url) {
            Some(folder) => match folder.file_of(request.url) {
                Some(file) => Asked { file, folder: Some(folder), request }.answer(),
                None => Ok(Response::status(404)),
            },
            None if request.url.scheme() == "file" => match request.url.to_file_path() {
                Ok(file) => Asked { file, folder: None, request }.answer(),
                Err(()) => Ok(Response::status(404)),
            },
            None => self.otherwise.fetch(request),
        }
    }
}

/// Of folders inside each other, the innermost that holds a URL.
pub(super) fn innermost<'f>(folders: &'f [Folder], url: &Url) -> Option<&'f Folder> {
    folders.iter().filter(|folder| folder.holds(url)).max_by_key(|folder| folder.at.as_str().len())
}

/// A request for a file.
struct Asked<'a> {
    file: PathBuf,
    folder: Option<&'a Folder>,
    request: &'a Request<'a>,
}

impl Asked<'_> {
    fn answer(&self) -> Result<Response, FetchError> {
        let is_folder_url = self.request.url.path().ends_with('/');
        match fs::metadata(&self.file) {
            Ok(found) if found.is_dir() && is_folder_url => self.index(),
            Ok(found) if found.is_dir() => {
                let folder = format!("{}/", &self.request.url[..Position::AfterPath]);
                let status = if self.is_published() { 301 } else { 307 };
                Ok(Response::redirect(status, &folder))
            }
            Ok(_) if is_folder_url => Ok(Response::status(404)),
            Ok(found) => self.read(&self.file, &found),
            Err(error) => self.missing(&error),
        }
    }

    fn is_published(&self) -> bool {
        self.folder.is_some_and(|folder| folder.is_published)
    }

    /// What a folder shows.
    fn index(&self) -> Result<Response, FetchError> {
        let found = INDEX.iter().enumerate().find(|(_, name)| self.file.join(name).is_file());
        match found {
            Some((at, name)) if at < SERVED && self.is_published() => {
                let file = self.file.join(name);
                let found = fs::metadata(&file).map_err(|error| unreadable(&file, &error))?;
                self.read(&file, &found)
            }
            // Under the name that links between files use, so that it is one page.
            Some((_, name)) => {
                Ok(Response::redirect(307, &format!("{}{name}", &self.request.url[..Position::AfterPath])))
            }
            None if self.is_published() => Ok(Response::status(404)),
            None => Ok(Response::status(200).header("content-type", "inode/directory")),
        }
    }

    fn missing(&self, error: &io::Error) -> Result<Response, FetchError> {
        use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
        if !matches!(error.kind(), NotFound | NotADirectory | InvalidFilename) {
            return Err(unreadable(&self.file, error));
        }
        let is_folder_url = self.request.url.path().ends_with('/');
        let extension = self.folder.and_then(|folder| folder.fall_back.as_deref());
        if let Some(extension) = extension.filter(|_| !is_folder_url) {
            let mut other = self.file.clone().into_os_string();
            other.push(format!(".{extension}"));
            let other = PathBuf::from(other);
            if let Ok(found) = fs::metadata(&other)
                && found.is_file()
            {
                return self.read(&other, &found);
            }
        }
        Ok(Response::status(404))
    }

    fn read(&self, file: &Path, found: &Metadata) -> Result<Response, FetchError> {
        let (request, mime) = (self.request, mime(file));
        let response = Response::status(200).header("content-type", mime);
        // A pipe or a device is there, and reading it may never end.
        if !found.is_file() || !request.wants(200, Some(mime)) {
            return Ok(response);
        }
        if found.len() > request.cap && !request.truncate {
            return Ok(Response { body: Body::TooLarge(found.len()), ..response });
        }
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|open| open.take(request.cap).read_to_end(&mut bytes));
        read.map_err(|error| unreadable(file, &error))?;
        Ok(Response { body: Body::Read(bytes), ..response })
    }
}

fn unreadable(file: &Path, error: &io::Error) -> FetchError {
    FetchError::new(ErrorKind::Unreadable, format!("{}: {error}", file.display()))
}

/// The media type of a file, by its name: as far as it matters here.
fn mime(file: &Path) -> &'static str {
    let extension = file.extension().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html",
        "xhtml" | "xht" => "application/xhtml+xml",
        "md" | "markdown" => "text/markdown",
        "css" => "text/css",
        "xml" => "application/xml",
        "txt" => "text/plain",
        "svg" => "image/svg+xml",
        "js" | "mjs" => "text/javascript",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        _ => BYTES,
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("folders", &self.folders).finish_non_exhaustive()
    }
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FolderError::Unreadable { path, error } => {
                write!(f, "the folder {} cannot be read: {error}", path.display())
            }
            FolderError::BadBase(base) => {
                write!(f, "{base:?} is no place to publish at; it is a URL such as https://example.org/docs/")
            }
        }
    }
}

impl std::error::Error for FolderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FolderError::Unreadable { error, .. } => Some(error),
            FolderError::BadBase(_) => None,
        }
    }
}
