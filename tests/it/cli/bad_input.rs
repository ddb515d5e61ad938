//! Whatever is wrong: one message with the place and what to do, the right exit code, and nothing written.

mod hostile;

use jiff::Timestamp;
use trueup::state::{StateEnvironment, StateFolder};

use super::{Ran, SNAPSHOT, World, config_map, live_config_map, policy};

#[test]
fn no_configuration() {
    let world = World::empty();
    for arguments in [&["diff"][..], &["sync"], &["check"], &["render"], &["runs"], &["doctor"], &["run"]] {
        let message = "error: no `trueup.toml` in `[REPO]` or a folder above it: run `trueup init`, or name one with --config";
        world.run(arguments).failed(2, message);
    }
    world
        .run(&["diff", "--config", "nowhere.toml"])
        .failed(2, "error: cannot read `nowhere.toml`: No such file or directory (os error 2)");
}

#[test]
fn mistakes_in_the_configuration() {
    let cases = [
        (
            "colour = 1",
            "1:1: unknown field `colour`, expected one of `source`, `policy`, `review`, `ledger`, `run`, `render`, `target`",
        ),
        ("[source]\nrepo = 3", "2:8: invalid type: integer `3`, expected a string"),
        ("[source]\nrepo = \".\"\nbranch = \"x\"", "3:1: unknown field `branch`, expected `repo` or `ref`"),
        ("", "1:1: missing field `source`"),
        ("[source\n", "1:8: unclosed table, expected `]`"),
        ("[source]\nrepo = \".\"", "2:11: no [[target]]: name at least one cluster, snapshot or Terraform state"),
    ];
    for (text, message) in cases {
        let world = World::small();
        world.write("trueup.toml", text);
        world.run(&["diff"]).failed(2, &format!("error: [REPO]/trueup.toml:{message}"));
    }
}

#[test]
fn a_target_that_is_not_whole() {
    let cases = [
        ("name = \"a\"\nkind = \"snapshot\"\npaths = [\"m\"]", "target `a` needs `live = \"folder\"`"),
        (
            "name = \"a\"\nkind = \"snapshot\"\nlive = \"l\"\npaths = [\"m\"]\nstate = \"x\"",
            "target `a`: `state` does not belong to a target of this kind",
        ),
        (
            "name = \"a b\"\nkind = \"kubernetes\"\npaths = [\"m\"]",
            "`a b` is no target name: use letters, digits, `-`, `_` and `.`",
        ),
    ];
    for (target, message) in cases {
        let world = World::small();
        world.write("trueup.toml", format!("[source]\nrepo = \".\"\n\n[[target]]\n{target}\n"));
        world.run(&["diff"]).failed(2, &format!("error: [REPO]/trueup.toml:4:1: {message}"));
    }
    World::small()
        .run(&["diff", "--target", "prod"])
        .failed(2, "error: `[REPO]/trueup.toml` has no target `prod`: there are `prod-eu`, `data`");
}

#[test]
fn a_source_that_is_none() {
    let world = World::small();
    let source = |repo: &str, reference: &str| {
        world.write("trueup.toml", SNAPSHOT.replace("repo = \".\"", &format!("repo = \"{repo}\"\nref = \"{reference}\"")));
        world.run(&["diff"])
    };
    source("gone", "main").failed(2, "error: the folder `[REPO]/gone` does not exist; check `[source] repo`");
    source(".", "mian").failed(2, "error: the repository `[REPO]/.git/` has no branch or tag `mian`; did you mean `main`?");
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().display().to_string();
    let ran = source(&path, "main");
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        format!(
            "error: `{path}` is not inside a Git repository; run `git init` there, or name another folder in `[source] repo`\n"
        )
    );
}

#[test]
fn a_repository_without_a_commit() {
    let world = World::empty();
    world.write("trueup.toml", SNAPSHOT);
    world.write("policies/drift.toml", policy());
    world.write("manifests/a.yaml", config_map("a", "info"));
    world.write("live/a.yaml", live_config_map("a", "debug"));
    let message = "error: the repository `[REPO]/.git/` has no commit yet; commit the manifests first, or read them as they are on disk with --work-tree";
    world.run(&["diff"]).failed(2, message);
    world.run(&["sync"]).failed(2, message);
    let ran = world.run(&["check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "checked 1 target, 1 object, 0 outputs, 1 class: no problem\n"));
    let ran = world.run(&["diff", "--work-tree"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().next(), Some("source [NAME] @ no commit yet (dirty)   live: 1 object"));
}

#[test]
fn a_repository_that_is_broken() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    for entry in walk(&world.folder().join(".git/objects")) {
        std::fs::remove_file(entry).unwrap();
    }
    let ran = world.run(&["diff"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (2, "", 1), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn nothing_declared_is_never_in_sync() {
    let world = World::of(&[("manifests/readme.txt", "no manifest")]);
    let ran = world.run(&["diff"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.stdout.contains("nothing-declared: no object is declared under `manifests` at commit [COMMIT]"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.ends_with("no findings · 0 objects true · live unknown · [TIME]\n"), "{}", ran.stdout);
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, 3);
}

#[test]
fn no_cluster() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write(
        "trueup.toml",
        "[source]\nrepo = \".\"\n\n[[target]]\nname = \"prod\"\nkind = \"kubernetes\"\npaths = [\"manifests\"]\n",
    );
    let see = |arguments: &[&str]| {
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "{}", ran.stdout);
        ran.stdout.lines().nth(1).unwrap().to_owned()
    };
    assert!(see(&["diff"]).starts_with(" ! prod: cluster-unreachable: "));
    std::fs::write(world.home.path().join("kubeconfig"), "clusters: [").unwrap();
    assert!(see(&["diff"]).contains("kubeconfig"), "{}", see(&["diff"]));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(world.home.path().join("kubeconfig"), kubeconfig(&format!("http://127.0.0.1:{port}"))).unwrap();
    assert!(see(&["diff"]).contains(&format!("127.0.0.1:{port}")), "{}", see(&["diff"]));
    let unknown = see(&["diff", "--context", "prod-us"]);
    assert!(unknown.contains("`prod-us`") && unknown.contains("here"), "{unknown}");
}

fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
         contexts: [{{name: here, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    )
}

#[test]
fn a_cluster_that_refuses() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write(
        "trueup.toml",
        "[source]\nrepo = \".\"\n\n[[target]]\nname = \"prod\"\nkind = \"kubernetes\"\npaths = [\"manifests\"]\n",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _asked = stream.read(&mut [0; 4096]).unwrap();
            let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
            write!(stream, "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    std::fs::write(world.home.path().join("kubeconfig"), kubeconfig(&format!("http://127.0.0.1:{port}"))).unwrap();
    let ran = world.run(&["diff"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.stdout.contains("does not accept our credentials (401); log in again, or check the context's user"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_state_that_is_half_written_or_gone() {
    let world = World::small();
    let state = world.read("infra/terraform.tfstate");
    world.write("infra/terraform.tfstate", &state[..100]);
    let ran = world.run(&["diff", "--target", "data"]);
    assert_eq!(ran.code, 3);
    assert_eq!(
        ran.stdout,
        "source [NAME] @ [COMMIT]   data: not seen\n \
         ! data: state-unusable: state `[REPO]/infra/terraform.tfstate`: the state is cut off at line 5, column 34: read it again, or restore a backup\n\
         no findings · 0 objects true · data unknown · [TIME]\n"
    );
    std::fs::remove_file(world.folder().join("infra/terraform.tfstate")).unwrap();
    let ran = world.run(&["diff", "--target", "data"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stdout.contains("state-missing: there is no state `[REPO]/infra/terraform.tfstate`"), "{}", ran.stdout);
}

#[test]
fn a_ledger_that_cannot_be_opened_stops_every_write() {
    let world = World::small();
    std::fs::create_dir_all(world.state()).unwrap();
    std::fs::write(world.state().join("ledger.sqlite"), "this is no ledger, whatever its name says").unwrap();
    let before = world.read("live/configmap.yaml");
    let message = "error: cannot open the ledger `[HOME]/state/ledger.sqlite`: the file is no ledger; move it away, or restore a copy: \
                   error returned from database: (code: 26) file is not a database";
    for arguments in
        [&["sync"][..], &["sync", "--dry-run"], &["runs"], &["audit", "verify"], &["undo", "01JD3M8Q4T7Z5V9K2W6XBCRYHN"]]
    {
        world.run(arguments).failed(2, message);
    }
    assert_eq!(world.read("live/configmap.yaml"), before);
    assert_eq!(world.repo.git(&["branch", "--list", "trueup/*"]), "");
    assert_eq!(world.run(&["diff"]).code, 1, "what is only looked at needs no ledger");
}

#[test]
fn a_state_folder_that_cannot_be_made() {
    let world = World::small();
    std::fs::write(world.state(), "a file").unwrap();
    let message = "error: cannot create the state folder `[HOME]/state`: a file is in the way; move it, or set `TRUEUP_STATE_DIR` to another folder: \
                   File exists (os error 17)";
    world.run(&["sync"]).failed(2, message);
    world.run(&["diff"]).failed(2, message);
}

#[test]
fn one_acts_at_a_time() {
    let world = World::small();
    let before = world.read("live/configmap.yaml");
    let state = world.state();
    let environment = StateEnvironment { state_dir: Some(state.as_os_str()), ..StateEnvironment::default() };
    let folder = StateFolder::resolve(environment, &world.folder().join("trueup.toml")).unwrap();
    folder.create().unwrap();
    let lock = folder.lock("2026-11-21T02:31:40Z".parse::<Timestamp>().unwrap()).unwrap();
    let message = format!(
        "error: `[HOME]/state/lock` is locked by process {} since 2026-11-21T02:31:40Z: one trueup acts at a time; wait until it ends, or stop it",
        std::process::id()
    );
    world.run(&["sync"]).failed(2, &message);
    assert_eq!(world.read("live/configmap.yaml"), before);
    assert_eq!(world.run(&["diff"]).code, 1, "looking needs no lock");
    drop(lock);
    assert_eq!(world.run(&["sync"]).code, 1);
}

#[test]
fn one_mistake_and_there_is_no_policy() {
    let world = World::small();
    let policy = world.read("policies/drift.toml");
    world.write("policies/drift.toml", format!("{policy}\n[[class]]\nname = \"x\"\nlane = \"automatic\"\n"));
    let mistake = "policies/drift.toml:29:8: policy: unknown variant `automatic`, expected one of `ignore`, `watch`, `auto`, `review`, `escalate`";
    world
        .run(&["diff", "--work-tree"])
        .failed(2, &format!("error: the policy on disk has mistakes, so none of it counts:\n{mistake}"));
    let ran = world.run(&["check"]);
    assert_eq!((ran.code, ran.stdout.trim_end(), ran.stderr.as_str()), (2, mistake, "1 problem\n"));
    world.commit();
    let before = world.read("live/configmap.yaml");
    world
        .run(&["sync"])
        .failed(2, &format!("error: the policy at commit [COMMIT] has mistakes, so none of it counts:\n{mistake}"));
    assert_eq!(world.read("live/configmap.yaml"), before);
}

#[test]
fn effects_follow_reviewed_commits_only() {
    let world = World::small();
    world.run(&["sync", "--work-tree"]).failed(2, "error: sync acts on commits only: leave out --work-tree, or add --dry-run");
    world.repo.git(&["checkout", "-q", "-b", "side"]);
    let side = world.commit();
    let before = world.read("live/configmap.yaml");
    let message = "error: commit [COMMIT] is not in `main`: sync acts on commits of the source's ref only";
    world.run(&["sync", "--commit", &side]).failed(2, message);
    assert_eq!(world.read("live/configmap.yaml"), before);
    world
        .run(&["diff", "--commit", "HEAD~3"])
        .failed(2, "error: `HEAD~3` names no commit here; give a commit's id (of a remote, one that `main` contains)");
    assert_eq!(world.run(&["diff", "--commit", "main", "--work-tree"]).code, 2);
}

#[test]
fn what_is_asked_for_is_not_there() {
    let world = World::small();
    let unknown = "01JD3M8Q4T7Z5V9K2W6XBCRYHN";
    world.run(&["undo", unknown]).failed(2, "error: no run `[RUN]`: nothing was done yet, `trueup sync` does");
    world.run(&["runs", unknown]).failed(2, "error: no run `[RUN]`: nothing was done yet, `trueup sync` does");
    assert!(!world.state().join("ledger.sqlite").exists());
    world
        .run(&["audit", "verify"])
        .failed(2, "error: there is no ledger at `[HOME]/state/ledger.sqlite`: `trueup sync` makes it at its first run");
    world.run(&["sync"]);
    world.run(&["undo", unknown]).failed(2, "error: no run `[RUN]`: `trueup runs` lists them");
    world.run(&["runs", unknown]).failed(2, "error: no run `[RUN]`: `trueup runs` lists them");
    let malformed = "error: `last` is not a run id: one is 26 characters long, like `[RUN]`; `trueup runs` lists them";
    world.run(&["undo", "last"]).failed(2, malformed);
    world
        .run(&["explain", "f-0000"])
        .failed(2, "error: no finding `f-0000` now: `trueup diff` lists them; an id changes with its values");
    world
        .run(&["explain", "Deployment/other"])
        .failed(2, "error: Git declares no `Deployment/other`: `trueup render` shows what it declares");
    world.run(&["explain", "Deployment", "spec"]).failed(2, "error: `Deployment` is no KIND/NAME, as in Deployment/checkout");
}

#[test]
fn forms_that_a_command_does_not_have() {
    let world = World::small();
    world.run(&["diff", "-o", "yaml"]).failed(2, "error: this command has no form `yaml`: use `text` or `json`");
    world.run(&["sync", "-o", "yaml"]).failed(2, "error: this command has no form `yaml`: use `text` or `json`");
    world.run(&["explain", "f-1", "-o", "json"]).failed(2, "error: this command has no form `json`: use `text`");
    world.run(&["render", "-o", "text"]).failed(2, "error: this command has no form `text`: use `yaml` or `json`");
    assert!(!world.state().exists(), "refused before anything was done");
}

#[test]
fn mistakes_on_the_command_line() {
    let world = World::small();
    world.run(&["diff", "--wide"]).failed(
        2,
        "error: unexpected argument '--wide' found\n\nUsage: trueup diff [OPTIONS]\n\nFor more information, try '--help'.",
    );
    for arguments in [&["drift"][..], &[], &["diff", "-o", "table"], &["diff", "-q", "-v"], &["undo"]] {
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn a_broken_live_file_is_unknown_and_its_neighbours_are_judged() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write("live/b.yaml", "a: [");
    let ran = world.run(&["diff"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stdout.contains(" ! live: b.yaml:1:4: yaml-syntax: the document is not YAML"), "{}", ran.stdout);
    assert!(ran.stdout.contains(" 1 ConfigMap shop/a  data.level  info → debug"), "{}", ran.stdout);
}

#[test]
fn a_duplicate_key_is_named_and_its_neighbours_are_judged() {
    let twice = config_map("b", "info") + "  level: warn\n";
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info")), ("manifests/b.yaml", &twice)]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write("live/b.yaml", live_config_map("b", "debug"));
    let ran = world.run(&["diff"]);
    assert_eq!(ran.code, 3);
    let problem = "manifests/b.yaml:8:3: duplicate-key: the key `level` stands on line 7 and again on line 8; keep one of them";
    assert!(ran.stdout.contains(&format!(" ! live: {problem}\n")), "{}", ran.stdout);
    assert!(ran.stdout.contains(" 1 ConfigMap shop/a  data.level  info → debug"), "{}", ran.stdout);
    let ran = world.run(&["check"]);
    assert_eq!((ran.code, ran.stdout.trim_end()), (2, problem));
    let ran = world.run(&["render"]);
    assert_eq!((ran.code, ran.stderr.trim_end()), (3, problem));
}

#[test]
fn text_from_the_cluster_acts_on_no_terminal() {
    let hostile = "\"\\e[2J\\e[31mred\\nfake: 1 findings\\u202ereversed\"";
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    let live = live_config_map("a", hostile).replace("manager: kubectl-edit", "manager: \"kubectl\\e]0;owned\\a\\n\"");
    world.write("live/a.yaml", live);
    for arguments in [&["diff", "--color", "never"][..], &["explain", "ConfigMap/a"], &["sync"], &["runs"]] {
        let ran = world.run(arguments);
        let acts = |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
        assert!(!ran.stdout.contains(acts) && !ran.stderr.contains(acts), "{arguments:?}: {ran:?}");
    }
    let text = World::run(&world, &["explain", "ConfigMap/a"]).stdout;
    assert!(!text.lines().any(|line| line.starts_with("fake:")), "{text}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let world = World::small();
    for arguments in [&["man"][..], &["diff"], &["render"], &["completions", "bash"], &["diff", "-o", "json"]] {
        let mut command = world.command(arguments);
        let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = world.ran(&child.wait_with_output().unwrap());
        assert!(matches!(ran.code, 0 | 1) && ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn undo_takes_back_once_and_only_what_is_still_so() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info")), ("manifests/b.yaml", &config_map("b", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write("live/b.yaml", live_config_map("b", "trace"));
    assert_eq!(world.run(&["sync"]).code, 0);
    let runs = world.runs("patch");
    let [second, first] = &runs[..] else { panic!("{runs:?}") };
    let ran = world.run(&["undo", first]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert_eq!(
        ran.stdout,
        "undone: run [RUN] of ConfigMap shop/a by run [RUN]\n  its paths are held until Git or a person changes them\n"
    );
    assert!(world.read("live/a.yaml").contains("level: debug"));
    world.run(&["undo", first]).failed(2, "error: run [RUN] cannot be undone: it is undone");
    assert_eq!(world.run(&["sync"]).code, 1, "held: not corrected again");
    assert!(world.read("live/a.yaml").contains("level: debug"));

    let moved = world.read("live/b.yaml").replace("level: info", "level: warn");
    world.write("live/b.yaml", &moved);
    let ran = world.run(&["undo", second]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("not undone: run [RUN] of ConfigMap shop/b: "), "{}", ran.stdout);
    assert_eq!(world.read("live/b.yaml"), moved);
    assert_eq!(world.run(&["audit", "verify"]).code, 0);
}
