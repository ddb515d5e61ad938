//! `[review] app`: the GitHub App as whom trueup asks.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use trueup_core::facts::Origin;

/// A GitHub App, as `trueup.toml` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSettings {
    /// The app's id.
    pub id: u64,
    /// Its installation; looked up by the repository where absent.
    pub installation: Option<u64>,
    /// The file of its private key, where the environment does not give the key itself.
    pub key: Option<PathBuf>,
    /// Where it is named.
    pub origin: Origin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppEntry {
    id: NonZeroU64,
    installation: Option<NonZeroU64>,
    key: Option<PathBuf>,
}

impl AppEntry {
    pub(super) fn settings(self, folder: &Path, origin: Origin) -> AppSettings {
        AppSettings {
            id: self.id.get(),
            installation: self.installation.map(NonZeroU64::get),
            key: self.key.map(|key| folder.join(key)),
            origin,
        }
    }
}

/// The web's address of an Enterprise server, by that of its API; `None` where that tells nothing.
pub(super) fn web_of(api: &str) -> Option<String> {
    let api = api.trim_end_matches('/');
    match api.strip_suffix("/api/v3") {
        Some(web) => Some(web.to_owned()),
        None => api.strip_prefix("https://api.").filter(|host| !host.contains('/')).map(|host| format!("https://{host}")),
    }
}

#[cfg(test)]
mod tests {
    use super::web_of;

    #[test]
    fn branches_are_pushed_to_the_server_that_is_asked() {
        for (api, web) in [
            ("https://api.github.com", Some("https://github.com")),
            ("https://github.acme.example/api/v3/", Some("https://github.acme.example")),
            ("https://api.acme.ghe.com", Some("https://acme.ghe.com")),
            ("https://proxy.acme.example/github", None),
            ("https://api.acme.example/github", None),
        ] {
            assert_eq!(web_of(api).as_deref(), web, "{api}");
        }
    }
}
