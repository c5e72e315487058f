//! The texts of links.

use std::collections::HashMap;

use selvedge::sync::Arc;

use super::page::Edge;

/// Stores each text of a link once, since a menu is on every page.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub(super) texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, u32>,
    bytes: usize,
}

/// The maximum bytes of all texts. Beyond it, a link with a new text is stored without it.
const LABEL_BYTES: usize = 16 << 20;

impl Interner {
    pub(super) fn of(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.by_text.get(text) {
            return known;
        }
        if self.bytes + text.len() > LABEL_BYTES {
            return Edge::UNLABELLED;
        }
        let (id, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.bytes += text.len();
        self.by_text.insert(Arc::clone(&text), id);
        self.texts.push(text);
        id
    }
}
