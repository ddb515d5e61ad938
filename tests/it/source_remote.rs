//! The source behind a network: `git http-backend` and `sshd` on the loopback interface, and servers that misbehave.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use trueup::review::push::{PushRequest, Pushed, push};
use trueup::source::credentials::Credentials;
use trueup::source::error::SourceError;
use trueup::source::history::{Moved, moved};
use trueup::source::transport::{RemoteError, Transport};
use trueup::source::{Pinned, files, pin};

use crate::git::{RIGHT, Repo, Server, access, at_home, git, git_bytes, spec, token, transport};

/// A repository, its bare copy behind a server, and a state folder.
struct World {
    repo: Repo,
    root: TempDir,
    state: TempDir,
}

impl World {
    fn new() -> Self {
        let repo = Repo::new();
        repo.write("app/web.yaml", "a: 1\n");
        repo.commit("first");
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("acme")).unwrap();
        repo.bare(root.path(), "acme/platform.git");
        Self { repo, root, state: tempfile::tempdir().unwrap() }
    }

    fn bare(&self) -> PathBuf {
        self.root.path().join("acme/platform.git")
    }

    fn publish(&self) {
        self.repo.git(&["push", "-q", "--force", self.bare().to_str().unwrap(), "main"]);
    }

    fn pin_with(&self, url: &str, reference: &str, transport: Transport) -> Result<Pinned, SourceError> {
        let mut access = access(self.state.path());
        access.transport = transport;
        pin(&spec(url, reference), &access)
    }

    fn pin(&self, url: &str, reference: &str) -> Result<Pinned, RemoteError> {
        self.pin_with(url, reference, transport()).map_err(|error| match error {
            SourceError::Remote(error) => error,
            other => panic!("{other}"),
        })
    }
}

fn with(credentials: Credentials) -> Transport {
    Transport { credentials, ..transport() }
}

#[test]
fn a_remote_is_fetched_its_reference_alone() {
    let world = World::new();
    world.repo.git(&["tag", "-a", "v1", "-m", "v1"]);
    world.repo.git(&["checkout", "-q", "-b", "secret-work"]);
    world.repo.write("app/other.yaml", "a: 2\n");
    let other = world.repo.commit("other");
    world.repo.git(&["push", "-q", world.bare().to_str().unwrap(), "secret-work", "v1"]);
    let server = Server::start(world.root.path(), None);
    let url = server.url("acme/platform.git");
    for reference in ["main", "HEAD", "v1", "refs/heads/main"] {
        let pinned = world.pin(&url, reference).unwrap();
        assert_eq!(pinned.name, "acme/platform");
        assert_eq!(pinned.commit.as_str(), world.repo.git(&["rev-parse", "main"]), "{reference}");
        let (found, problems) = files(&pinned, &["app".to_owned()]);
        assert_eq!((found.len(), problems.len()), (1, 0));
        let missing =
            Command::new("git").args(["cat-file", "-e", &other]).current_dir(&pinned.repository).stderr(Stdio::null()).status();
        assert!(!missing.unwrap().success(), "another branch came along");
    }
    let caches = std::fs::read_dir(world.state.path()).unwrap().count();
    assert_eq!(caches, 2, "one repository and its lock");
}

#[test]
fn a_force_push_is_seen_and_the_last_commit_kept() {
    let world = World::new();
    let server = Server::start(world.root.path(), None);
    let url = server.url("acme/platform.git");
    let first = world.pin(&url, "main").unwrap();
    world.repo.commit("second");
    world.publish();
    let second = world.pin(&url, "main").unwrap();
    assert_eq!(moved(&second, &first.commit).unwrap(), Moved::Forward);
    world.repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    world.repo.commit("another second");
    world.publish();
    let third = world.pin(&url, "main").unwrap();
    assert_eq!(moved(&third, &second.commit).unwrap(), Moved::Rewritten);
    assert_eq!(files(&second, &["app".to_owned()]).0.len(), 1);
}

#[test]
fn what_the_remote_has_no_more_is_not_read_from_the_cache() {
    let world = World::new();
    let server = Server::start(world.root.path(), None);
    let url = server.url("acme/platform.git");
    world.repo.git(&["push", "-q", world.bare().to_str().unwrap(), "main:release"]);
    world.pin(&url, "release").unwrap();
    git(&world.bare(), &["branch", "-D", "release"]);
    let error = world.pin(&url, "release").unwrap_err();
    assert!(matches!(error, RemoteError::MissingReference { .. }), "{error}");
    let error = world.pin(&url, "mian").unwrap_err().to_string();
    assert!(error.contains("has no branch or tag `mian`; did you mean `main`?"), "{error}");
    git(world.root.path(), &["init", "-q", "--bare", "empty.git"]);
    let error = world.pin(&server.url("empty.git"), "main").unwrap_err();
    assert!(matches!(error, RemoteError::Empty { .. }), "{error}");
    let error = world.pin(&server.url("nothing.git"), "main").unwrap_err();
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error}");
}

#[test]
fn a_refused_token_is_one_clear_error() {
    let world = World::new();
    let server = Server::start(world.root.path(), Some(RIGHT));
    let url = server.url("acme/platform.git");
    let home = tempfile::tempdir().unwrap();
    let with = |credentials| Transport { credentials, ..at_home(home.path(), "") };
    world.pin_with(&url, "main", with(token("127.0.0.1", "right"))).unwrap();
    for (credentials, offered) in [
        (token("127.0.0.1", "wrong"), "shown the token)"),
        (token("git.example.org", "right"), "shown nothing)"),
        (Credentials::default(), "shown nothing)"),
    ] {
        let error = world.pin_with(&url, "main", with(credentials)).unwrap_err().to_string();
        assert!(error.contains("refused the credentials") && error.contains(offered), "{error}");
        assert!(!error.contains("wrong"), "{error}");
    }
}

#[test]
fn the_users_credential_helper_is_asked_and_never_the_repositorys() {
    let world = World::new();
    let server = Server::start(world.root.path(), Some(RIGHT));
    let url = server.url("acme/platform.git");
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("ran");
    let evil = format!("!touch {}; echo username=x-access-token; echo password=right; true", mark.display());
    world.repo.git(&["config", "credential.helper", &evil]);
    let commit = world.repo.git(&["rev-parse", "HEAD"]);
    let request = request(&world.repo, &url, &commit, None);
    let error = push(request.clone(), &at_home(home.path(), "")).unwrap_err();
    assert!(matches!(error, RemoteError::Credentials { .. }), "{error}");
    assert!(!mark.exists(), "the repository's own helper ran");

    let kind = "[credential]\nhelper = \"!echo username=x-access-token; echo password=right; true\"\n";
    std::fs::write(home.path().join(".gitconfig"), kind).unwrap();
    assert_eq!(push(request, &at_home(home.path(), "")).unwrap(), Pushed::Created);
    world.pin_with(&url, "main", at_home(home.path(), "")).unwrap();
}

#[test]
fn git_configuration_cannot_lead_elsewhere() {
    let world = World::new();
    let server = Server::start(world.root.path(), None);
    let home = tempfile::tempdir().unwrap();
    let config = format!("[url \"{}\"]\ninsteadOf = http://127.0.0.1:{}/\n", world.root.path().display(), server.port);
    std::fs::write(home.path().join(".gitconfig"), config).unwrap();
    let error = world.pin_with(&server.url("acme/platform.git"), "main", at_home(home.path(), "")).unwrap_err().to_string();
    assert!(error.contains("rewrites it to another host"), "{error}");
    let error = world.pin(&server.url("elsewhere/x.git"), "main").unwrap_err();
    assert!(matches!(error, RemoteError::Redirect { .. }), "{error}");
}

#[test]
fn a_silent_server_ends_at_the_deadline() {
    let world = World::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let quick = Transport { deadline: Duration::from_secs(2), ..transport() };
    for url in [format!("http://127.0.0.1:{port}/x.git"), format!("ssh://git@127.0.0.1:{port}/x.git")] {
        let start = Instant::now();
        let error = world.pin_with(&url, "main", quick.clone()).unwrap_err();
        assert!(matches!(error, SourceError::Remote(RemoteError::Deadline { seconds: 2, .. })), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "the deadline did not hold");
    }
}

#[test]
fn a_pack_beyond_the_cap_is_broken_off() {
    let world = World::new();
    let noise = git_bytes(world.repo.path(), &["rev-parse", "HEAD"], b"");
    let noise: Vec<u8> =
        (0..400_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ noise[at as usize % 40]).collect();
    world.repo.write("app/big.bin", noise);
    world.repo.commit("big");
    world.publish();
    let server = Server::start(world.root.path(), None);
    let url = server.url("acme/platform.git");
    let error = world.pin_with(&url, "main", Transport { bytes: 50_000, ..transport() }).unwrap_err();
    assert!(matches!(error, SourceError::Remote(RemoteError::TooLarge { limit: 50_000, .. })), "{error}");
    // nothing of it counts: the next fetch is whole
    assert_eq!(files(&world.pin(&url, "main").unwrap(), &["app".to_owned()]).0.len(), 1);
}

fn request(repo: &Repo, url: &str, commit: &str, expected: Option<&str>) -> PushRequest {
    PushRequest {
        repository: repo.path().to_owned(),
        commit: commit.to_owned(),
        url: url.to_owned(),
        branch: "trueup/p-02ab".to_owned(),
        expected: expected.map(str::to_owned),
    }
}

#[test]
fn a_push_moves_the_branch_only_from_where_it_was_seen() {
    let world = World::new();
    let server = Server::start(world.root.path(), Some(RIGHT));
    let url = server.url("acme/platform.git");
    let first = world.repo.commit("one");
    let second = world.repo.commit("two");
    world.repo.git(&["reset", "-q", "--hard", &first]);
    let sibling = world.repo.commit("not on top of two");
    let push = |commit: &str, expected: Option<&str>| {
        push(request(&world.repo, &url, commit, expected), &with(token("127.0.0.1", "right"))).unwrap()
    };
    let held = || git(&world.bare(), &["rev-parse", "trueup/p-02ab"]);
    assert_eq!(push(&second, Some(&first)), Pushed::Moved { found: None });
    assert_eq!(push(&second, None), Pushed::Created);
    assert_eq!(push(&second, Some(&second)), Pushed::Unchanged);
    assert_eq!(held(), second);
    for expected in [None, Some(first.as_str())] {
        assert_eq!(push(&sibling, expected), Pushed::Moved { found: Some(second.clone()) });
        assert_eq!(held(), second);
    }
    assert_eq!(push(&sibling, Some(&second)), Pushed::Updated);
    assert_eq!(held(), sibling);
    assert_eq!(git(&world.bare(), &["rev-parse", "main"]), world.repo.git(&["rev-parse", "main~2"]));

    git(&world.bare(), &["config", "receive.denyNonFastForwards", "true"]);
    assert!(matches!(push(&first, Some(&sibling)), Pushed::Rejected { .. }));
    assert_eq!(held(), sibling);
    let mut elsewhere = request(&world.repo, &url, &first, None);
    elsewhere.branch = "main".to_owned();
    let error = trueup::review::push::push(elsewhere, &transport()).unwrap_err().to_string();
    assert!(error.contains("no branch of ours"), "{error}");
}

/// OpenSSH's server as a process of this user, with keys of its own.
struct Sshd {
    process: Child,
    port: u16,
    home: TempDir,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Sshd {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).display().to_string();
        for key in ["host", "user", "stranger"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status().unwrap();
            assert!(made.success());
        }
        std::fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
            at("host"),
            at("authorized_keys")
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        // as root, sshd wants its separation folder
        drop(std::fs::create_dir_all("/run/sshd"));
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("this test needs OpenSSH's server (Debian: openssh-server)");
        let sshd = Self { process, port, home };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return sshd;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not answer: {}", std::fs::read_to_string(sshd.home.path().join("log")).unwrap());
    }

    fn url(&self, path: &Path) -> String {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, path.display())
    }

    fn transport(&self, key: &str) -> Transport {
        let credentials = Credentials { token: None, ssh_key: Some(self.home.path().join(key)) };
        Transport { credentials, ..at_home(self.home.path(), "SSH_AUTH_SOCK=") }
    }

    fn trust(&self, key: &str) {
        let folder = self.home.path().join(".ssh");
        std::fs::create_dir_all(&folder).unwrap();
        let key = std::fs::read_to_string(self.home.path().join(key)).unwrap();
        std::fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }
}

#[test]
fn over_ssh_only_a_known_host_with_an_accepted_key() {
    let world = World::new();
    let sshd = Sshd::start();
    let url = sshd.url(&world.bare());
    let pin = |key: &str| {
        world.pin_with(&url, "main", sshd.transport(key)).map_err(|error| match error {
            SourceError::Remote(error) => error,
            other => panic!("{other}"),
        })
    };
    let error = pin("user").unwrap_err();
    assert!(matches!(error, RemoteError::HostKey { .. }), "unknown host: {error}");
    sshd.trust("stranger.pub");
    let error = pin("user").unwrap_err();
    assert!(matches!(error, RemoteError::HostKey { .. }), "changed host key: {error}");
    sshd.trust("host.pub");
    let error = pin("stranger").unwrap_err();
    assert!(matches!(error, RemoteError::Credentials { .. }), "refused key: {error}");
    let pinned = pin("user").unwrap();
    assert_eq!(pinned.commit.as_str(), world.repo.git(&["rev-parse", "main"]));
    let request = request(&world.repo, &url, pinned.commit.as_str(), None);
    assert_eq!(push(request, &sshd.transport("user")).unwrap(), Pushed::Created);
}
