//! What trueup shows to a Git server: a token, a key, the ssh agent, or what git's credential helper gives.

use std::fmt;
use std::path::PathBuf;

use git2::{Config, Cred, CredentialType, ErrorClass, ErrorCode};

use super::address::{RemoteAddress, Scheme};

/// A secret text. It has no `Display`, and `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What may be shown to a Git server. Beside it, the ssh agent and the credential helper of the *user's* git
/// configuration are asked; a repository's own configuration never is.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// A token, sent as a password over https to one host alone.
    pub token: Option<Token>,
    /// A private key without a passphrase, for ssh.
    pub ssh_key: Option<PathBuf>,
}

/// A token and the one host that may see it.
#[derive(Debug, Clone)]
pub struct Token {
    /// `github.com`
    pub host: String,
    /// The token.
    pub secret: Secret,
}

/// One way to prove who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Token,
    Helper,
    Key,
    Agent,
}

impl Proof {
    fn name(self) -> &'static str {
        match self {
            Self::Token => "the token",
            Self::Helper => "git's credential helper",
            Self::Key => "the ssh key file",
            Self::Agent => "the ssh agent",
        }
    }
}

/// Answers libgit2's requests for credentials: each proof is offered once, so that a refusal ends the conversation
/// (libgit2 asks again for as long as it gets an answer).
pub struct Conversation {
    address: RemoteAddress,
    credentials: Credentials,
    left: Vec<Proof>,
    offered: Vec<Proof>,
}

impl Conversation {
    /// What can be offered to this address.
    #[must_use]
    pub fn new(address: RemoteAddress, credentials: Credentials) -> Self {
        let left = match address.scheme {
            Scheme::Http => vec![Proof::Token, Proof::Helper],
            Scheme::Ssh => vec![Proof::Key, Proof::Agent],
        };
        Self { address, credentials, left, offered: Vec::new() }
    }

    /// What the server has seen so far, for people.
    #[must_use]
    pub fn offered(&self) -> String {
        let names: Vec<&str> = self.offered.iter().map(|proof| proof.name()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", then ") }
    }

    /// The next proof that the server takes.
    ///
    /// # Errors
    /// When none is left.
    pub fn answer(&mut self, user: Option<&str>, allowed: CredentialType) -> Result<Cred, git2::Error> {
        let user = user.or(self.address.user.as_deref()).unwrap_or("git").to_owned();
        if allowed == CredentialType::USERNAME {
            return Cred::username(&user);
        }
        while !self.left.is_empty() {
            let proof = self.left.remove(0);
            if let Some(credential) = self.offer(proof, &user, allowed) {
                self.offered.push(proof);
                return Ok(credential);
            }
        }
        Err(git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, "no credentials are left"))
    }

    fn offer(&self, proof: Proof, user: &str, allowed: CredentialType) -> Option<Cred> {
        match proof {
            Proof::Token => {
                let token = self.credentials.token.as_ref().filter(|token| token.host == self.address.host)?;
                let takes = allowed.contains(CredentialType::USER_PASS_PLAINTEXT);
                // GitHub and GitLab take any user name beside a token
                let user = self.address.user.as_deref().unwrap_or("x-access-token");
                takes.then(|| Cred::userpass_plaintext(user, token.secret.reveal()).ok())?
            }
            Proof::Helper => {
                let takes = allowed.contains(CredentialType::USER_PASS_PLAINTEXT);
                // the user's and the system's configuration alone: a repository could name any program
                let config = Config::open_default().ok()?;
                takes.then(|| Cred::credential_helper(&config, &self.address.url, self.address.user.as_deref()).ok())?
            }
            Proof::Key => {
                let key = self.credentials.ssh_key.as_deref()?;
                allowed.contains(CredentialType::SSH_KEY).then(|| Cred::ssh_key(user, None, key, None).ok())?
            }
            Proof::Agent => allowed.contains(CredentialType::SSH_KEY).then(|| Cred::ssh_key_from_agent(user).ok())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::*;

    fn conversation(url: &str, credentials: Credentials) -> Conversation {
        let Ok(Address::Remote(address)) = Address::parse(url) else { panic!("{url} is a remote") };
        Conversation::new(address, credentials)
    }

    fn token(host: &str) -> Credentials {
        Credentials { token: Some(Token { host: host.to_owned(), secret: Secret::new("t0ken") }), ssh_key: None }
    }

    #[test]
    fn a_token_is_offered_once_and_to_its_host_alone() {
        let mut ours = conversation("https://git.example/acme/x", token("git.example"));
        assert!(ours.offer(Proof::Token, "git", CredentialType::USER_PASS_PLAINTEXT).is_some());
        assert!(ours.answer(None, CredentialType::USER_PASS_PLAINTEXT).is_ok());
        assert_eq!(ours.offered(), "the token");
        assert!(!ours.left.contains(&Proof::Token));

        let other = conversation("https://evil.example/acme/x", token("git.example"));
        assert!(other.offer(Proof::Token, "git", CredentialType::USER_PASS_PLAINTEXT).is_none());
        let ssh = conversation("git@git.example:acme/x", token("git.example"));
        assert!(!ssh.left.contains(&Proof::Token));
    }

    #[test]
    fn the_agent_is_asked_once() {
        let mut ssh = conversation("git@git.example:acme/x", Credentials::default());
        assert!(ssh.answer(Some("git"), CredentialType::SSH_KEY).is_ok());
        let refused = ssh.answer(Some("git"), CredentialType::SSH_KEY).err().map(|error| error.code());
        assert_eq!(refused, Some(ErrorCode::Auth));
        assert_eq!(ssh.offered(), "the ssh agent");
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", token("git.example")).contains("t0ken"));
    }
}
