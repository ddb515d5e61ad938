//! Folders of commits that were read before. A tree's id is a digest of what is in it, so it is read once.

use std::collections::HashMap;
use std::sync::Arc;

use git2::{Oid, Repository, Tree};

use super::super::name::{is_manifest, is_safe};
use super::Entry;

/// A tree that was not wanted for this many readings is forgotten.
const FORGOTTEN: u64 = 32;

/// Trees that were read before, by their ids.
#[derive(Debug, Default)]
pub struct Trees {
    known: HashMap<Oid, Known>,
    readings: u64,
}

#[derive(Debug)]
struct Known {
    folder: Arc<Folder>,
    wanted: u64,
}

/// What a tree holds: nothing but plain files and folders with safe names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folder {
    /// How many entries there are, manifests or not.
    entries: usize,
    pub(super) manifests: Vec<(String, Oid)>,
    pub(super) folders: Vec<(String, Oid)>,
}

/// One tree.
pub(super) enum Contents<'a> {
    /// It is the same wherever it stands.
    Plain(Arc<Folder>),
    /// It has links, submodules or odd names, and what they mean depends on where they stand.
    Other(Tree<'a>),
}

impl Trees {
    /// A reading begins.
    pub fn begin(&mut self) {
        self.readings += 1;
        let readings = self.readings;
        self.known.retain(|_, known| known.wanted + FORGOTTEN > readings);
    }

    pub(super) fn contents<'a>(&mut self, repository: &'a Repository, id: Oid) -> Result<Contents<'a>, git2::Error> {
        if let Some(known) = self.known.get_mut(&id) {
            known.wanted = self.readings;
            return Ok(Contents::Plain(Arc::clone(&known.folder)));
        }
        let tree = repository.find_tree(id)?;
        let Some(folder) = Folder::of(&tree).map(Arc::new) else { return Ok(Contents::Other(tree)) };
        self.known.insert(id, Known { folder: Arc::clone(&folder), wanted: self.readings });
        Ok(Contents::Plain(folder))
    }
}

impl Contents<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(folder) => folder.entries,
            Self::Other(tree) => tree.len(),
        }
    }
}

impl Folder {
    /// `None` where something in it is special.
    fn of(tree: &Tree<'_>) -> Option<Self> {
        let mut folder = Self { entries: tree.len(), manifests: Vec::new(), folders: Vec::new() };
        for entry in tree {
            let name = entry.name().ok().filter(|name| is_safe(name))?;
            match Entry::of(entry.filemode()) {
                Entry::Folder => folder.folders.push((name.to_owned(), entry.id())),
                Entry::File if is_manifest(name.as_bytes()) => folder.manifests.push((name.to_owned(), entry.id())),
                Entry::File => {}
                Entry::Symlink | Entry::Submodule => return None,
            }
        }
        Some(folder)
    }
}
