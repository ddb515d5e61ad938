//! Input that is meant to break a reader, or that nobody thought of: one table of cases, each with the program's exit code and
//! what it must say. Every one of them in at most 64 MB.

use std::process::Command;

use super::{Ran, World, config_map, live_config_map};

/// The most memory that one look may take, in kB.
const MEMORY: u64 = 64 * 1024;

/// Of a processor, not of a clock: far more than any case takes in a debug build, and less than a quadratic algorithm would.
const SECONDS: u32 = 30;

/// Files, the command's exit code, and texts that it must print.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    code: i32,
    says: &'static [&'static str],
}

fn case<const FILES: usize>(
    name: &'static str,
    files: [(&'static str, String); FILES],
    code: i32,
    says: &'static [&'static str],
) -> Case {
    let files = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    Case { name, files, code, says }
}

impl Case {
    fn check(&self) {
        let world = World::of(&[("manifests/ok.yaml", &config_map("ok", "info"))]);
        world.write("live/ok.yaml", live_config_map("ok", "info"));
        for (path, bytes) in &self.files {
            world.write(path, bytes);
        }
        world.commit();
        let (ran, peak) = measured(&world, &["diff"]);
        let said = ran.stdout.clone() + &ran.stderr;
        let shown: String = said.chars().take(4000).collect();
        assert_eq!(ran.code, self.code, "{}: {shown}", self.name);
        for text in self.says {
            assert!(said.contains(text), "{}: no `{text}` in {shown}", self.name);
        }
        assert!(said.len() < 20_000, "{}: {} bytes are no clear problem: {shown}", self.name, said.len());
        println!("{}: {peak} kB", self.name);
        assert!(peak < MEMORY, "{}: {peak} kB", self.name);
    }
}

/// Runs the program as the one child of a process that reads its peak of memory afterwards.
fn measured(world: &World, arguments: &[&str]) -> (Ran, u64) {
    const PROGRAM: &str = "import resource, subprocess, sys\n\
        seconds = int(sys.argv[2])\n\
        limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))\n\
        code = subprocess.run(sys.argv[3:], preexec_fn=limit).returncode\n\
        used = resource.getrusage(resource.RUSAGE_CHILDREN)\n\
        open(sys.argv[1], 'w').write(str(used.ru_maxrss))\n\
        print(f'{used.ru_utime + used.ru_stime:.2f} s of a processor', file=sys.stderr) if code < 0 else None\n\
        sys.exit(code)\n";
    let command = world.command(arguments);
    let peak = world.home.path().join("peak");
    let mut measuring = Command::new("python3");
    measuring.args(["-c", PROGRAM]).arg(&peak).arg(SECONDS.to_string()).arg(command.get_program()).args(command.get_args());
    measuring.current_dir(world.folder()).env_clear();
    measuring.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let ran = world.ran(&measuring.output().expect("python3"));
    let peak = std::fs::read_to_string(&peak).unwrap_or_else(|error| panic!("no peak: {error}: {}", ran.stderr));
    (ran, peak.parse().expect("kilobytes"))
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn what_repeats_itself_is_refused() {
    let levels: String = "bcdefghij"
        .chars()
        .zip('a'..)
        .map(|(key, below)| format!("{key}: &{key} [{}*{below}]\n", format!("*{below}, ").repeat(8)))
        .collect();
    let bomb = |tail: &str| format!("apiVersion: v1\nkind: A\nmetadata: {{name: a}}\n{tail}");
    let text = "x".repeat(100_000);
    let texts = lines(10_000, |_| "- *a\n".to_owned());
    let long_key = "k".repeat(200_000);
    let below = lines(10_000, |index| format!("    k{index}: 1\n"));
    for case in [
        case(
            "values by aliases",
            [("manifests/a.yaml", bomb(&format!("a: &a [x]\n{levels}")))],
            3,
            &["manifests/a.yaml:", "too-many-aliases: aliases repeat more than is read"],
        ),
        case(
            "text by aliases",
            [("manifests/a.yaml", bomb(&format!("a: &a {text}\nb:\n{texts}")))],
            3,
            &["manifests/a.yaml:", "too-many-aliases: aliases repeat more than is read"],
        ),
        case(
            "a long key above many values",
            [("manifests/a.yaml", bomb(&format!("spec:\n  ? {long_key}\n  :\n{below}")))],
            3,
            &["manifests/a.yaml:1:1: long-paths: the keys above the values of A a are so long"],
        ),
        case(
            "a long key above many live values",
            [("live/a.yaml", bomb(&format!("spec:\n  ? {long_key}\n  :\n{below}")))],
            3,
            &["live: a.yaml:1:1: long-paths: the keys above the values of A a are so long"],
        ),
    ] {
        case.check();
    }
}

#[test]
fn what_is_said_twice_or_in_other_words_is_told() {
    let custom = |version: &str, size: u32| {
        format!(
            "apiVersion: shop.example/{version}\nkind: Basket\nmetadata:\n  name: a\n  namespace: shop\nspec:\n  size: {size}\n"
        )
    };
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: baskets.shop.example}\nspec:\n  \
                      group: shop.example\n  scope: Namespaced\n  names: {plural: baskets, kind: Basket}\n  \
                      versions:\n  - {name: v1, served: true, storage: true}\n";
    for case in [
        case(
            "one object in two files",
            [("manifests/a.yaml", config_map("ok", "debug"))],
            3,
            &[
                "manifests/ok.yaml:1:1: declared-twice: `ConfigMap shop/ok` is also declared at manifests/a.yaml:1:1: keep one of the two",
            ],
        ),
        case(
            "one live object in two files",
            [("live/a.yaml", live_config_map("ok", "debug"))],
            3,
            &["snapshot-ambiguous: ", "live/a.yaml", "live/ok.yaml"],
        ),
        case(
            "a kind without a schema",
            [
                ("manifests/a.yaml", format!("{definition}---\n{}", custom("v1", 1))),
                ("live/a.yaml", format!("{definition}---\n{}", custom("v1", 2))),
            ],
            1,
            &["1 Basket shop/a  spec.size  1 → 2", "manifests/a.yaml:17", "2 objects true"],
        ),
        case(
            "a live object of another version",
            [("manifests/a.yaml", custom("v1alpha1", 1)), ("live/a.yaml", custom("v1", 1))],
            3,
            &["1 object not seen"],
        ),
    ] {
        case.check();
    }
}
