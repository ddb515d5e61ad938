//! Which files of a source a kustomization is made of, and which overlays share a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_yaml::Value;

use super::kustomization::{FILED, FILES, PLACES, TEXTS, entries, join, resolve, texts};

/// Folders nested deeper are not looked into.
const DEPTH: usize = 32;

/// One kustomization of the source.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its folder, `""` for the source's root.
    pub folder: String,
    /// Its file.
    pub file: String,
    /// The files that it names, by the field that names them.
    pub files: Vec<(&'static str, String)>,
    /// The folders of the kustomizations that it is made of.
    pub folders: Vec<String>,
}

/// All kustomizations of a source by folder.
#[derive(Debug, Clone, Default)]
pub struct Layers(BTreeMap<String, Layer>);

impl Layers {
    /// Those in a folder with a source's files.
    #[must_use]
    pub fn of(tree: &Path) -> Self {
        let mut folders = Vec::new();
        walk(tree, "", 0, &mut folders);
        let layers = folders.into_iter().filter_map(|folder| Some((folder.clone(), Layer::read(tree, &folder)?)));
        Self(layers.collect())
    }

    /// The kustomization at a path and those that it is made of, the nearest first.
    #[must_use]
    pub fn below(&self, path: &str) -> Vec<&Layer> {
        let Some(top) = resolve("", path) else { return Vec::new() };
        let (mut order, mut seen, mut at) = (vec![top.clone()], BTreeSet::from([top]), 0);
        let mut layers = Vec::new();
        while let Some(folder) = order.get(at).cloned() {
            at += 1;
            let Some(layer) = self.0.get(&folder) else { continue };
            layers.push(layer);
            order.extend(layer.folders.iter().filter(|inner| seen.insert((*inner).clone())).cloned());
        }
        layers
    }

    /// The kustomizations that no other one uses, and the one at `path`, as far as they are made of this file.
    #[must_use]
    pub fn users(&self, file: &str, path: &str) -> Vec<&str> {
        let own = resolve("", path);
        let is_inner = |folder: &str| self.0.values().any(|layer| layer.folders.iter().any(|inner| inner == folder));
        let tops = self.0.keys().filter(|folder| Some(*folder) == own.as_ref() || !is_inner(folder));
        let uses = |top: &&String| {
            let layers = self.below(top);
            layers.iter().any(|layer| layer.file == file || layer.files.iter().any(|(_, named)| named == file))
        };
        tops.filter(uses).map(String::as_str).collect()
    }
}

impl Layer {
    fn read(tree: &Path, folder: &str) -> Option<Self> {
        let file = FILES.iter().map(|name| join(folder, name)).find(|file| tree.join(file).is_file())?;
        let value: Value = serde_yaml::from_slice(&fs::read(tree.join(&file)).ok()?).ok()?;
        let mut layer = Self { folder: folder.to_owned(), file, files: Vec::new(), folders: Vec::new() };
        for field in PLACES {
            texts(value.get(field)).for_each(|entry| layer.add(tree, field, entry));
        }
        for (field, keys) in FILED {
            for entry in value.get(field).into_iter().flat_map(entries) {
                keys.iter().flat_map(|key| texts(entry.get(*key))).for_each(|entry| layer.add(tree, field, entry));
            }
        }
        for field in TEXTS {
            texts(value.get(field)).for_each(|entry| layer.add(tree, field, entry));
        }
        Some(layer)
    }

    fn add(&mut self, tree: &Path, field: &'static str, entry: &str) {
        let path = entry.rsplit_once('=').map_or(entry, |(_, path)| path);
        let Some(there) = resolve(&self.folder, path) else { return };
        if tree.join(&there).is_dir() {
            self.folders.push(there);
        } else if tree.join(&there).is_file() {
            self.files.push((field, there));
        }
    }
}

fn walk(tree: &Path, folder: &str, depth: usize, folders: &mut Vec<String>) {
    folders.push(folder.to_owned());
    let Ok(entries) = fs::read_dir(tree.join(folder)) else { return };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let inner = entries.filter_map(Result::ok).filter(is_folder).filter_map(|entry| entry.file_name().into_string().ok());
    if depth < DEPTH {
        inner.for_each(|name| walk(tree, &join(folder, &name), depth + 1, folders));
    }
}
