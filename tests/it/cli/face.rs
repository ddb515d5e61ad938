//! What a person meets first: help, `init`, `check`, `explain`, `doctor`, and a quiet stderr.

use super::{World, config_map, live_config_map};

#[test]
fn help() {
    insta::assert_snapshot!(World::empty().run(&["--help"]).stdout, @r"
    Keeps what runs true to what Git says, and knows when not to touch it

    Usage: trueup [OPTIONS] <COMMAND>

    Commands:
      init         Write a first configuration, policy, manifest and CI workflow; change no file that
                   exists
      check        Check config, policies, manifests and expectations without any server
      render       Print what Git declares, as trueup reads it
      diff         Show what differs from Git
      explain      Say why something is a finding, or why it is not
      sync         One round: correct, propose and escalate as the policy allows
      runs         List what was done, or show one run
      undo         Put back what a run changed, and hold the path
      replay       Decide again by what a run was decided by, and compare
      approve      Want Git's value back for a finding, whatever its class's stage
      deny         Leave a finding as it is, until live or Git moves
      lease        Let a live value stay until a time
      hold         Write and propose nothing: everywhere, in a target, for an object or at a finding
      resume       Let go on what was stopped: by a hold, an undo, a fight, a lost ledger or a rewritten
                   history
      audit        Check the ledger, or search it
      policy       Work with policies
      run          Rounds on a schedule, until told to stop
      doctor       Say what trueup can reach and may do, and what is missing
      demo         Make a small world without any server and show diff and sync in it
      completions  Print a shell's completions
      man          Print the manual page
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Options of every command:
          --config <FILE>   The configuration [default: trueup.toml here or in a parent folder] [env:
                            TRUEUP_CONFIG]
          --target <NAME>   Only this target (repeatable) [env: TRUEUP_TARGET]
          --context <NAME>  The kubeconfig context for targets that name none [env: TRUEUP_CONTEXT]
          --commit <REV>    Another revision than the source's ref
          --work-tree       The files as they are on disk, marked dirty
      -o, --output <FORM>   The form of the result on stdout: text, json, yaml, markdown or csv
          --color <WHEN>    Colours: auto (on a terminal, unless `NO_COLOR` is set), always or never
                            [env: TRUEUP_COLOR]
      -q, --quiet           Say less on stderr
      -v, --verbose...      Say more on stderr (repeat for more)

    Exit codes: 0 true · 1 drift, or a gate not passed · 2 configuration or usage · 3 not enough could
    be seen to judge.
    Start with `trueup demo`, or with `trueup init` in a repository.
    ");
}

#[test]
fn help_of_commands() {
    let own = |command: &str| {
        let text = World::empty().run(&[command, "--help"]).stdout;
        text.split_once("\n\nOptions of every command:").unwrap().0.to_owned()
    };
    insta::assert_snapshot!(own("sync"), @r"
    One round: correct, propose and escalate as the policy allows

    Usage: trueup sync [OPTIONS]

    Options:
          --dry-run    Decide everything, write nothing
          --only <ID>  Only this finding (repeatable)
      -h, --help       Print help
      -V, --version    Print version
    ");
    insta::assert_snapshot!(own("explain"), @r"
    Say why something is a finding, or why it is not

    Usage: trueup explain [OPTIONS] <WHAT> [PATH]

    Arguments:
      <WHAT>  A finding's id, or KIND/NAME or KIND/NAMESPACE/NAME
      [PATH]  A path in that object, a finding or not, as in `data.LOG_LEVEL`

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
    insta::assert_snapshot!(own("diff"), @r"
    Show what differs from Git

    Usage: trueup diff [OPTIONS]

    Options:
          --watch                  Show it again after each save (with --work-tree) or new commit
          --all-paths <KIND/NAME>  Show one object whole: each path, and why it is a finding or none
      -h, --help                   Print help
      -V, --version                Print version
    ");
}

#[test]
fn a_first_minute() {
    let world = World::empty();
    let ran = world.run(&["init"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout, @r"
    wrote trueup.toml
    wrote policies/drift.toml
    wrote policies/drift.cases.toml
    wrote manifests/example.yaml
    wrote .github/workflows/trueup.yml

    next: set your cluster's context in trueup.toml, put your manifests into manifests/, then
      trueup check                # without any server
      git add -A && git commit    # trueup reads commits
      trueup diff
    ");
    let checked = "checked 1 target, 1 object, 0 outputs, 5 classes: no problem\n";
    assert_eq!((world.run(&["check"]).code, world.run(&["check"]).stdout.as_str()), (0, checked), "before the first commit");
    world.commit();
    assert_eq!((world.run(&["check"]).code, world.run(&["check"]).stdout.as_str()), (0, checked));
}

#[test]
fn init_changes_no_file() {
    let world = World::empty();
    world.write("trueup.toml", "mine");
    let ran = world.run(&["init"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.starts_with("kept  trueup.toml (it exists)\nwrote policies/drift.toml\n"), "{}", ran.stdout);
    assert_eq!(world.read("trueup.toml"), "mine");
    world.write("policies/drift.toml", "mine too");
    world.run(&["init"]);
    assert_eq!(world.read("policies/drift.toml"), "mine too");
}

#[test]
fn check_reads_the_files_on_disk() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info")), ("manifests/c.yaml", &config_map("c", "info"))]);
    assert_eq!(world.run(&["check"]).code, 0);
    world.write("manifests/a.yaml", "a: [\n");
    world.write("manifests/b.yaml", "kind: ConfigMap\n");
    let ran = world.run(&["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (2, "2 problems\n"));
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.starts_with("manifests/")), "{}", ran.stdout);
    let ran = world.run(&["check", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, report["problems"].as_array().unwrap().len()), (2, 2));
}

#[test]
fn sync_says_what_it_did_and_nothing_on_stderr() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info")), ("manifests/b.yaml", &config_map("b", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write("live/b.yaml", live_config_map("b", "info"));
    let planned = world.run(&["sync", "--dry-run"]);
    assert_eq!((planned.code, planned.stderr.as_str()), (1, ""));
    assert!(planned.stdout.contains("\n patch       ConfigMap shop/a data.level  would patch\n"), "{}", planned.stdout);
    assert!(world.read("live/a.yaml").contains("level: debug") && !world.state().join("ledger.sqlite").exists());
    let ran = world.run(&["sync"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout, @r"
    source [NAME] @ [COMMIT]   live: 2 objects
     patch       ConfigMap shop/a data.level  settled
         run [RUN]   policies/drift.toml:1: class config-value
    no findings · 2 objects true · [TIME]
    ");
    let loud = world.run(&["sync", "-v"]);
    assert_eq!((loud.code, loud.stdout.lines().count()), (0, 2));
}

#[test]
fn only_what_is_named_is_done() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info")), ("manifests/b.yaml", &config_map("b", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write("live/b.yaml", live_config_map("b", "debug"));
    let report: serde_json::Value =
        serde_json::from_slice(&world.command(&["diff", "-o", "json"]).output().unwrap().stdout).unwrap();
    let second = report["findings"][1]["id"].as_str().unwrap();
    assert_eq!(world.run(&["sync", "--only", second]).code, 1, "the other one is still there");
    assert!(world.read("live/a.yaml").contains("level: debug"));
    assert!(world.read("live/b.yaml").contains("level: info"));
}

#[test]
fn explain_takes_the_path_that_the_report_shows() {
    let world = World::small();
    let whole = world.run(&["explain", "Deployment/checkout", "spec.template.spec.containers[name=app].image"]);
    let short = world.run(&["explain", "deployment/shop/checkout", "containers[name=app].image"]);
    assert_eq!((whole.code, &whole.stdout), (0, &short.stdout));
    insta::assert_snapshot!(short.stdout, @r"
    Deployment shop/checkout in prod-eu: spec.template.spec.containers[name=app].image (f-[DIGEST])
      change     changed
      Git        registry.example/checkout:1.4.2   manifests/deployment.yaml:20:18
      live       registry.example/checkout:1.4.3-hot
      writer     kubectl-set Update 2026-11-21T02:47:03Z (as managedFields reports it)
      judged by  table (the defaults of Kubernetes, without asking the server)
      class      image-change
      lane       review at stage recommend
      risk       65 = a value in use 8 + restarts pods 30 + changes what runs 16 + reaches several pods 4 + other objects depend on it 3 + judged without a server 4
      because    policies/drift.toml:12: class image-change
      next       sync would propose it on branch trueup/p-[DIGEST]
      change it  change manifests/deployment.yaml:20, or live; a class in policies/ decides lane and stage
    ");
    let none = world.run(&["explain", "Deployment/checkout", "spec.colour"]);
    assert!(none.code == 0 && none.stdout.contains("neither Git nor live has this path"), "{}", none.stdout);
    let same = world.run(&["explain", "Deployment/checkout", "spec.replicas"]);
    assert!(same.code == 0 && same.stdout.contains("as Git declares it"), "{}", same.stdout);
}

#[test]
fn doctor_reads_each_target() {
    let world = World::small();
    let ran = world.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    insta::assert_snapshot!(ran.stdout, @r"
    note     ledger          none yet: `trueup sync` makes [HOME]/state/ledger.sqlite
    ok       forge           local: branches trueup/… and patch files
    ok       source          [NAME] @ [COMMIT] (main)
    ok       policy          4 classes, 1 of them in lane auto
    ok       target prod-eu  folder [REPO]/live
    ok       target data     serial 2, 2 expected outputs
    ");
    world.write("infra/terraform.tfstate", "{");
    let ran = world.run(&["doctor"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.lines().last().unwrap().starts_with("missing  target data     state-unusable: "), "{}", ran.stdout);
}

#[test]
fn colours_only_where_they_belong() {
    let world = World::small();
    let coloured = |command: &mut std::process::Command| command.output().unwrap().stdout.contains(&0x1b);
    assert!(!coloured(&mut world.command(&["diff"])), "stdout is no terminal");
    assert!(coloured(&mut world.command(&["diff", "--color", "always"])));
    assert!(coloured(world.command(&["diff"]).env("TRUEUP_COLOR", "always")));
    assert!(!coloured(world.command(&["diff", "--color", "never"]).env("CLICOLOR_FORCE", "1")));
}

#[test]
fn settings_from_the_environment() {
    let world = World::small();
    let run = |name: &str, value: &str| world.ran(&world.command(&["diff"]).env(name, value).output().unwrap());
    assert!(run("TRUEUP_TARGET", "data").stdout.starts_with("source [NAME] @ [COMMIT]   data: serial 2, 2 outputs\n"));
    assert_eq!(run("TRUEUP_SOURCE_REF", "gone").code, 2);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = world.command(&["diff"]);
    let output = command.current_dir(elsewhere.path()).env("TRUEUP_CONFIG", world.folder().join("trueup.toml")).output().unwrap();
    assert_eq!(world.ran(&output).code, 1);
    run("TRUEUP_RUN_EVERY", "soon").failed(2, "error: environment variable `TRUEUP_RUN_EVERY`: `soon` is no duration: write seconds, minutes or hours, as in \"30s\", \"5m\" or \"1h\"");
}
