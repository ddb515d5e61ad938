//! Where a repository is: a folder, or a remote whose scheme and host are allowed.
//!
//! The grammar is narrower than Git's on purpose: what this parser and libgit2's could read differently is refused.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use thiserror::Error;

/// A repository's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine, bare or not.
    Local(PathBuf),
    /// A repository behind https or ssh.
    Remote(RemoteAddress),
}

/// A repository behind https or ssh (plain http on the loopback interface alone).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAddress {
    /// As libgit2 takes it; holds no password.
    pub url: String,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// The host without user and port.
    pub host: String,
    /// The user in front of the host.
    pub user: Option<String>,
    /// The repository on that host, without `.git`: `acme/platform`.
    pub name: String,
}

/// A remote's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// https, or http on the loopback interface.
    Http,
    /// ssh, as a URL or in the short form `git@host:path`.
    Ssh,
}

/// Why an address is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing there.
    #[error("the repository's address is empty; name a folder, an https or an ssh URL")]
    Empty,
    /// It would read as an option.
    #[error("the repository's address `{0}` starts with `-`; write `./{0}` for a folder")]
    LeadingDash(String),
    /// `ext::`, `git://`, `http://` off the loopback interface…
    #[error("the repository's address `{shown}` uses `{scheme}`, which is not allowed; use https, ssh, file or a folder")]
    Scheme {
        /// The address without a password.
        shown: String,
        /// What it begins with.
        scheme: String,
    },
    /// A password in the URL.
    #[error(
        "the repository's address names `{host}` with a password in it; keep it out of the address: use a token variable or git's credential helper"
    )]
    Password {
        /// The host.
        host: String,
    },
    /// The host or port is not one.
    #[error(
        "the repository's address `{0}` has no valid host and path; write `https://host/owner/name` or `git@host:owner/name`"
    )]
    Malformed(String),
    /// A link-local host, where clouds serve credentials.
    #[error("the repository's address points at the link-local host `{0}`, which is not allowed; name the Git server")]
    LinkLocal(String),
}

impl Address {
    /// Reads an address as a person writes it in `trueup.toml`.
    ///
    /// # Errors
    /// For anything but a folder, `file://`, https, ssh and http on the loopback interface.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.starts_with('-') {
            return Err(AddressError::LeadingDash(shown(text)));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return parse_url(text, scheme, rest);
        }
        if let Some((helper, _)) = text.split_once("::") {
            return Err(AddressError::Scheme { shown: shown(text), scheme: format!("{helper}::") });
        }
        match text.split_once(':') {
            Some((login, path)) if !login.contains('/') => parse_short_ssh(text, login, path).map(Self::Remote),
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

/// The URL without a user: some put a token there.
impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scheme, &self.user) {
            (Scheme::Http, Some(user)) => f.write_str(&self.url.replacen(&format!("{user}@"), "", 1)),
            _ => f.write_str(&self.url),
        }
    }
}

/// `acme/platform` from any form of a remote's URL; `None` where there is no path in it.
#[must_use]
pub fn name_in(url: &str) -> Option<String> {
    match Address::parse(url) {
        Ok(Address::Remote(remote)) => Some(remote.name),
        Ok(Address::Local(path)) => path.file_name().and_then(|name| name.to_str()).map(bare_name),
        Err(_) => None,
    }
}

/// A name without slashes around it and without `.git`.
#[must_use]
pub fn bare_name(path: &str) -> String {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/').to_owned()
}

fn parse_url(text: &str, scheme: &str, rest: &str) -> Result<Address, AddressError> {
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "file" => return parse_file(text, rest),
        "https" | "http" => Scheme::Http,
        "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
        _ => return Err(AddressError::Scheme { shown: shown(text), scheme: format!("{scheme}://") }),
    };
    let (authority, path) = rest.split_once('/').ok_or_else(|| AddressError::Malformed(shown(text)))?;
    let (user, host) = login(text, authority)?;
    let (host, port) = split_port(host);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(AddressError::Malformed(shown(text)));
    }
    check_host(text, host)?;
    if scheme.eq_ignore_ascii_case("http") && !is_loopback(host) {
        return Err(AddressError::Scheme { shown: shown(text), scheme: "http://".to_owned() });
    }
    remote(text, protocol, user, host, path).map(Address::Remote)
}

/// `file:///srv/git/platform.git`: opened where it is.
fn parse_file(text: &str, rest: &str) -> Result<Address, AddressError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if path.starts_with('/') { Ok(Address::Local(PathBuf::from(path))) } else { Err(AddressError::Malformed(shown(text))) }
}

/// `git@host:owner/name.git`
fn parse_short_ssh(text: &str, authority: &str, path: &str) -> Result<RemoteAddress, AddressError> {
    let (user, host) = login(text, authority)?;
    check_host(text, host)?;
    remote(text, Scheme::Ssh, user, host, path)
}

fn remote(text: &str, scheme: Scheme, user: Option<&str>, host: &str, path: &str) -> Result<RemoteAddress, AddressError> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '?' | '#' | '%' | '\'' | '"');
    let name = bare_name(path);
    if name.is_empty() || path.starts_with('-') || path.contains(odd) {
        return Err(AddressError::Malformed(shown(text)));
    }
    Ok(RemoteAddress { url: text.to_owned(), scheme, host: host.to_owned(), user: user.map(str::to_owned), name })
}

fn login<'a>(text: &str, authority: &'a str) -> Result<(Option<&'a str>, &'a str), AddressError> {
    let Some((user, host)) = authority.split_once('@') else { return Ok((None, authority)) };
    if user.contains(':') {
        return Err(AddressError::Password { host: shown(host) });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
        return Err(AddressError::Malformed(shown(text)));
    }
    Ok((Some(user), host))
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    }
}

fn check_host(text: &str, host: &str) -> Result<(), AddressError> {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match literal {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')),
    };
    if !valid || host.starts_with(['-', '.']) {
        return Err(AddressError::Malformed(shown(text)));
    }
    match ip_of(host) {
        Some(ip) if is_link_local(ip) => Err(AddressError::LinkLocal(host.to_owned())),
        _ => Ok(()),
    }
}

fn ip_of(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_link_local(IpAddr::V4(mapped)),
            // fd00:ec2::254 is a cloud's metadata service, too
            None => ip.is_unicast_link_local() || ip.is_unspecified() || ip.segments()[..2] == [0xfd00, 0x0ec2],
        },
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || ip_of(host).is_some_and(|ip| ip.is_loopback())
}

/// For messages: no control characters, and nothing between `:` and `@`.
fn shown(text: &str) -> String {
    let text = text.escape_debug().to_string();
    let start = text.find("://").map_or(0, |at| at + 3);
    match text[start..].find('@') {
        Some(at) if text[start..start + at].contains(':') => format!("{}…{}", &text[..start], &text[start + at..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_every_form() {
        for url in [
            "https://github.com/acme/platform.git",
            "https://token@github.com/acme/platform/",
            "ssh://git@github.com:22/acme/platform.git",
            "git@github.com:acme/platform",
            "http://127.0.0.1:8080/acme/platform",
            "http://[::1]:8080/acme/platform",
        ] {
            let Ok(Address::Remote(remote)) = Address::parse(url) else { panic!("{url} is a remote") };
            assert_eq!(remote.name, "acme/platform", "{url}");
        }
        assert_eq!(name_in("/srv/git/platform.git").as_deref(), Some("platform"));
    }

    #[test]
    fn folders_are_local() {
        for (text, path) in [
            (".", "."),
            ("../infra", "../infra"),
            ("./a:b", "./a:b"),
            ("file:///srv/x.git", "/srv/x.git"),
            ("/srv/a:b", "/srv/a:b"),
        ] {
            assert_eq!(Address::parse(text), Ok(Address::Local(PathBuf::from(path))), "{text}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        for text in [
            "",
            "-oProxyCommand=touch",
            "--upload-pack=touch",
            "ext::sh -c touch",
            "fd::3",
            "git://github.com/acme/platform",
            "http://github.com/acme/platform",
            "http://127.0.0.1.example.org/acme/platform",
            "http://localhost@github.com/acme/platform",
            "ftp://host/x",
            "https://user:secret@host/acme/platform",
            "https://169.254.169.254/latest/meta-data",
            "https://[fe80::1]/x",
            "https://[::ffff:169.254.169.254]/x",
            "https://[fd00:ec2::254]/x",
            "https:///etc/passwd",
            "https://host",
            "https://host/",
            "https://a@b@c/x",
            "https://host\\@evil/x",
            "https://host/a?b=c",
            "https://host:99999/x",
            "https://ho st/x",
            "ssh://-oProxyCommand=touch/x",
            "-oProxyCommand=touch:x",
            "git@host:-x",
            "git@-host:x",
            "file://host/x",
        ] {
            assert!(Address::parse(text).is_err(), "`{text}` must be refused");
        }
    }

    #[test]
    fn a_password_is_not_repeated_in_the_message() {
        let error = Address::parse("https://user:hunter2@host/x").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        let error = Address::parse("ftp://user:hunter2@host/x").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
