//! Names of container images, as far as the default of `imagePullPolicy` depends on them.

/// Whether an image's tag is `latest`: as written, or for want of tag and digest. A text that is no image name has no tag.
///
/// The grammar is that of `github.com/distribution/reference`, which Kubernetes calls in `parsers.ParseImageName`.
pub fn is_latest(image: &str) -> bool {
    let (named, digest) = image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let after_slash = named.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match named[after_slash..].find(':') {
        Some(colon) => (&named[..after_slash + colon], Some(&named[after_slash + colon + 1..])),
        None => (named, None),
    };
    is_repository(repository) && tag.map_or(digest.is_none(), |tag| tag == "latest")
}

fn is_repository(repository: &str) -> bool {
    let path = match repository.split_once('/') {
        Some((domain, path)) if is_domain(domain) => path,
        _ => repository,
    };
    path.split('/').all(is_component)
}

/// Whether what stands before the first slash is a registry and not a folder.
fn is_domain(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.chars().any(|c| c.is_ascii_uppercase())
}

/// Lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(is_inner).filter(|part| !part.is_empty());
    text.starts_with(is_inner)
        && text.ends_with(is_inner)
        && separators.into_iter().all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_latest_as_written_or_meant() {
        for image in ["nginx", "nginx:latest", "registry:5000/nginx", "a/b:latest@sha256:00", "R.io/a__b/c-d", "localhost/a"] {
            assert!(is_latest(image), "{image}");
        }
        for image in ["nginx:1", "registry:5000/a/nginx:1.27", "nginx@sha256:00", "<YOUR-IMAGE>", "Nginx", "a//b", "a/b_", ""] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
