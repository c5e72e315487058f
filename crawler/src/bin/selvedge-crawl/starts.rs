//! The starts of a crawl: URLs, hosts, files and folders.

use std::fs;
use std::path::{Path, PathBuf};

use selvedge_crawl::{Builder, Folder};

use crate::values::address;

/// Options about files and folders.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// The URL where they are published.
    pub(crate) base: Option<String>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) fall_back: Option<String>,
}

/// A start, as it was given.
enum Start {
    Url(String),
    File(PathBuf),
    Folder(PathBuf),
}

/// Adds the folders and all starts but the first to a builder, and returns the first.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn begin(
    mut builder: Builder,
    texts: &[String],
    local: &Local,
) -> Result<(Builder, Option<String>), String> {
    let starts = texts.iter().map(|text| Start::of(text)).collect::<Result<Vec<_>, _>>()?;
    let folders = folders(&starts, local)?;
    let mut urls: Vec<String> = Vec::new();
    for start in starts {
        let found = |path: &Path| folders.iter().find_map(|folder| folder.url_of(path));
        match start {
            Start::Url(url) => urls.push(url),
            Start::File(path) => urls.push(
                found(&path).ok_or_else(|| format!("{} is not in the folder of --root.", path.display()))?,
            ),
            Start::Folder(path) => {
                let in_it = folders.iter().find(|folder| folder.url_of(&path).is_some());
                let folder =
                    in_it.ok_or_else(|| format!("{} is not in the folder of --root.", path.display()))?;
                let pages = folder.pages_below(&path);
                let pages = pages.map_err(|error| format!("{} cannot be read: {error}.", path.display()))?;
                if pages.is_empty() {
                    return Err(format!(
                        "There is no page in {}: no .html, .htm, .xhtml, .md or .markdown.",
                        path.display()
                    ));
                }
                urls.extend(pages);
            }
        }
    }
    for folder in folders {
        builder = builder.folder(folder);
    }
    let mut urls = urls.into_iter();
    let first = urls.next();
    Ok((urls.fold(builder, Builder::also_start), first))
}

impl Start {
    fn of(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let is_path = text.starts_with(['/', '.']) || text.contains('\\');
        match fs::metadata(path) {
            _ if text.contains("://") => Ok(Start::Url(text.to_owned())),
            Ok(found) if found.is_dir() => Ok(Start::Folder(path.to_owned())),
            Ok(_) => Ok(Start::File(path.to_owned())),
            Err(error) if is_path => Err(format!("{text} cannot be read: {error}.")),
            Err(_) => Ok(Start::Url(address(text))),
        }
    }

    /// The folder of its pages.
    fn folder(&self) -> Option<PathBuf> {
        match self {
            Start::Url(_) => None,
            Start::Folder(path) => Some(path.clone()),
            Start::File(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some(parent.map_or_else(|| PathBuf::from("."), Path::to_owned))
            }
        }
    }
}

/// The folders that are read: `--root`, or those of the starts.
fn folders(starts: &[Start], local: &Local) -> Result<Vec<Folder>, String> {
    let mut paths: Vec<PathBuf> = match &local.root {
        Some(root) => vec![root.clone()],
        None => starts.iter().filter_map(Start::folder).collect(),
    };
    paths.sort();
    paths.dedup();
    if local.base.is_some() && paths.len() > 1 {
        return Err("With several files or folders, say which folder is published: --root FOLDER.".to_owned());
    }
    if local.base.is_some() && paths.is_empty() {
        return Err(
            "--base-url says where a folder is published; give a folder, or --root FOLDER.".to_owned()
        );
    }
    let open = |path: PathBuf| {
        let mut folder = Folder::open(path)?;
        if let Some(base) = &local.base {
            folder = folder.published_at(base)?;
        }
        Ok(match &local.fall_back {
            Some(extension) => folder.fall_back_to(extension.trim_start_matches('.')),
            None => folder,
        })
    };
    let opened: Result<Vec<Folder>, selvedge_crawl::FolderError> = paths.into_iter().map(open).collect();
    opened.map_err(|error| format!("{error}."))
}
