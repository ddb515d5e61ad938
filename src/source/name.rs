//! Names inside a repository: which are safe, and which are manifests.

/// A path inside a repository as it is compared: no `.`, no empty parts, no way out.
///
/// `None` for absolute paths, `..`, control characters and anything called `.git`.
#[must_use]
pub fn normalise(path: &str) -> Option<Vec<String>> {
    if path.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.iter().all(|part| is_safe(part)).then(|| parts.into_iter().map(str::to_owned).collect())
}

/// Whether one name of a tree may be shown and used: no way out, no repository inside, nothing that a terminal obeys.
#[must_use]
pub fn is_safe(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains('/')
        && !name.chars().any(char::is_control)
        && !name.eq_ignore_ascii_case(".git")
}

/// `.yaml`, `.yml`, `.json`, in any case.
#[must_use]
pub fn is_manifest(name: &[u8]) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|ending| ends_with(name, ending))
}

/// `.toml`
#[must_use]
pub fn is_toml(name: &[u8]) -> bool {
    ends_with(name, ".toml")
}

/// A Git LFS pointer stands where the content should be (Git LFS specification, version 1).
#[must_use]
pub fn is_lfs_pointer(bytes: &[u8]) -> bool {
    const HEADS: [&[u8]; 2] = [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];
    bytes.len() < 1024 && HEADS.iter().any(|head| bytes.starts_with(head))
}

/// A name's bytes for messages: what is not printable is escaped.
#[must_use]
pub fn shown(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect(),
        Err(_) => name.escape_ascii().to_string(),
    }
}

fn ends_with(name: &[u8], ending: &str) -> bool {
    name.len() >= ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_brought_to_one_form() {
        assert_eq!(normalise("a//b/./c/"), Some(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(normalise("."), Some(vec![]));
        for path in ["/etc", "a/../b", "..", "a/.git/config", ".GIT/x", "a\rb", "a\0b"] {
            assert_eq!(normalise(path), None, "{path:?}");
        }
    }

    #[test]
    fn manifests_are_known_by_their_ending() {
        assert!(is_manifest(b"a.YAML") && is_manifest(b"a.yml") && is_manifest(b"\xff.json") && is_manifest(b".yaml"));
        assert!(!is_manifest(b"yaml") && !is_manifest(b"a.yaml.tmpl") && !is_manifest(b""));
    }

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(shown(b"a\rb"), "a\\rb");
        assert_eq!(shown("grün".as_bytes()), "grün");
        assert_eq!(shown(b"\xff.yaml"), "\\xff.yaml");
    }
}
