//! Input that is meant to break a reader, or that nobody thought of: one table of cases, each with the program's exit code and
//! what it must say. Every one of them in at most 64 MB beside what the program takes for a small look.

use std::path::Path;
use std::process::Command;

use super::{Ran, SNAPSHOT, World, config_map, live_config_map};

/// The most memory that one look may take, in kB, beside what the program takes for a small one.
const MEMORY: u64 = 64 * 1024;

/// Of a processor, not of a clock: far more than any case takes in a debug build, and less than a quadratic algorithm would.
const SECONDS: u32 = 30;

/// Names a folder: then the cases are put there and not tried.
const KEEP_IN: &str = "TRUEUP_HOSTILE";

const TERRAFORM: &str = "[source]\nrepo = \".\"\n\n[[target]]\nname = \"data\"\nkind = \"terraform\"\nstate = \"infra/terraform.tfstate\"\n\
                         expect = [\"infra/data.expect.toml\"]\n";

const STATE: &str = r#"{"version":4,"terraform_version":"1.11.4","serial":1,"lineage":"l","outputs":{"a":{"value":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!","type":"string"}},"resources":[]}"#;

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
    /// The case with bytes that are no text in the file at this index.
    fn with_bytes(mut self, file: usize, bytes: &[u8]) -> Self {
        self.files[file].1.extend_from_slice(bytes);
        self
    }

    /// Puts the case into a folder of its own, for `scripts/bench hostile`.
    fn keep(&self, world: &World, folder: &Path) {
        let at = folder.join(self.name);
        std::fs::create_dir_all(&at).expect("a folder");
        let copied = Command::new("cp").arg("-a").arg(world.folder()).arg(at.join("repository")).status();
        assert!(copied.expect("cp").success(), "{}", self.name);
        std::fs::write(at.join("code"), self.code.to_string()).expect("written");
    }

    /// What is wrong with the program's answer; nothing, if all is as it should be.
    fn fault(&self, floor: u64) -> Option<String> {
        let world = World::of(&[("manifests/ok.yaml", &config_map("ok", "info"))]);
        world.write("live/ok.yaml", live_config_map("ok", "info"));
        for (path, bytes) in &self.files {
            world.write(path, bytes);
        }
        world.commit();
        if let Some(folder) = std::env::var_os(KEEP_IN) {
            self.keep(&world, Path::new(&folder));
            return None;
        }
        let (ran, peak) = measured(&world, &["diff"]);
        let said = ran.stdout.clone() + &ran.stderr;
        let shown: String = said.chars().take(2000).collect();
        let taken = peak.saturating_sub(floor);
        println!("{}: {taken} kB", self.name);
        let missing = self.says.iter().find(|text| !said.contains(**text));
        let fault = if ran.code != self.code {
            format!("exit code {} for {}", ran.code, self.code)
        } else if let Some(text) = missing {
            format!("no `{text}`")
        } else if said.len() >= 20_000 {
            format!("{} bytes are no clear problem", said.len())
        } else if taken >= MEMORY {
            format!("{taken} kB")
        } else {
            return None;
        };
        Some(format!("{}: {fault}: {shown}", self.name))
    }
}

/// Every case is tried before the first fault ends the test.
fn check(cases: impl IntoIterator<Item = Case>) {
    let (_, floor) = measured(&World::of(&[("manifests/ok.yaml", &config_map("ok", "info"))]), &["diff"]);
    let faults: Vec<String> = cases.into_iter().filter_map(|case| case.fault(floor)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
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

/// A `ConfigMap` of this data, in Git and, with the server's metadata, live.
fn with_data(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\n  namespace: shop\ndata:\n{data}")
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn nested(open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(100_000), close.repeat(100_000))
}

#[test]
fn what_is_large_is_judged() {
    let annotation = |last: &str| {
        let text = "x".repeat(1_500_000);
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\n  namespace: shop\n  annotations:\n    note: {text}{last}\n"
        )
    };
    let containers = |changed: usize| {
        let image = |index: usize| if index == changed { "hot" } else { "app" };
        let containers = lines(10_000, |index| format!("      - name: c{index}\n        image: {}:1\n", image(index)));
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: big\n  namespace: shop\nspec:\n  selector: {{matchLabels: {{a: b}}}}\n  \
             template:\n    metadata: {{labels: {{a: b}}}}\n    spec:\n      containers:\n{containers}"
        )
    };
    let ports = |order: &dyn Fn(usize) -> usize, more: &dyn Fn(usize) -> String| {
        let port = |at: usize| format!("  - {{name: p{at}, port: {}{}}}\n", at + 1, more(at));
        let ports = lines(10_000, |index| port(order(index)));
        format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: big\n  namespace: shop\nspec:\n  ports:\n{ports}")
    };
    let value = |last: &str| with_data(&format!("  a: {}{last}\n", "x".repeat(700_000)));
    let keys = |changed: usize| {
        with_data(&lines(30_000, |index| format!("  key-{index}: value-{}\n", if index == changed { "x" } else { "y" })))
    };
    let finalizers = |order: &dyn Fn(usize) -> usize| {
        let finalizers = lines(10_000, |index| format!("  - example.com/f{}\n", order(index)));
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\n  namespace: shop\n  finalizers:\n{finalizers}")
    };
    check([
        case(
            "an annotation of 1.5 MB",
            [("manifests/a.yaml", annotation("1")), ("live/a.yaml", annotation("2"))],
            1,
            &["1 ConfigMap shop/big  metadata.annotations.note", "manifests/a.yaml:7", "1 finding"],
        ),
        case(
            "the same annotation",
            [("manifests/a.yaml", annotation("1")), ("live/a.yaml", annotation("1"))],
            0,
            &["2 objects true"],
        ),
        case(
            "10,000 containers",
            [("manifests/a.yaml", containers(10_000)), ("live/a.yaml", containers(7000))],
            1,
            &["containers[name=c7000].image", "app:1 → hot:1", "manifests/a.yaml:14013", "1 finding"],
        ),
        case(
            "10,000 ports, turned around and with the default that Git leaves out",
            [
                ("manifests/a.yaml", ports(&|at| at, &|_| String::new())),
                ("live/a.yaml", ports(&|at| 9999 - at, &|at| format!(", protocol: TCP, targetPort: {}", at + 1))),
            ],
            0,
            &["2 objects true"],
        ),
        case("700 kB in one value", [("manifests/a.yaml", value("1")), ("live/a.yaml", value("2"))], 1, &["data.a", "1 finding"]),
        case(
            "700 kB in 30,000 keys",
            [("manifests/a.yaml", keys(30_000)), ("live/a.yaml", keys(12_345))],
            1,
            &["data.key-12345", "manifests/a.yaml:12352", "1 finding"],
        ),
        case(
            "10,000 finalizers in another order",
            [("manifests/a.yaml", finalizers(&|at| at)), ("live/a.yaml", finalizers(&|at| 9999 - at))],
            1,
            &["metadata.finalizers", "1 finding"],
        ),
    ]);
}

#[test]
fn what_repeats_itself_is_refused() {
    let levels = "bcdefghij"
        .chars()
        .zip('a'..)
        .map(|(key, below)| format!("{key}: &{key} [{}*{below}]\n", format!("*{below}, ").repeat(8)))
        .collect::<Vec<_>>()
        .concat();
    let bomb = |tail: &str| format!("apiVersion: v1\nkind: A\nmetadata: {{name: a}}\n{tail}");
    let text = "x".repeat(100_000);
    let texts = lines(10_000, |_| "- *a\n".to_owned());
    let long_key = "k".repeat(200_000);
    let below = lines(10_000, |index| format!("    k{index}: 1\n"));
    check([
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
    ]);
}

#[test]
fn what_is_nested_without_end_is_refused() {
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: deep, namespace: shop}\ndata:\n";
    let fields = nested(r#"{"f:a":"#, "}").replace("}}", "}").replacen(":}", ":{}", 1);
    let managed = live_config_map("ok", "info").replace(r#"{"f:data": {"f:level": {}}}"#, &fields);
    let policy = |path: &str| format!("[[class]]\nname = \"deep\"\nmatch = {{ path = \"{path}\" }}\nlane = \"watch\"\n");
    check([
        case(
            "YAML lists",
            [("manifests/a.yaml", format!("{head}  a: {}\n", nested("[", "]")))],
            3,
            &["manifests/a.yaml:5:", "too-deep: "],
        ),
        case(
            "YAML blocks",
            [("manifests/a.yaml", format!("{head}  a:\n  {}x\n", "- ".repeat(100_000)))],
            3,
            &["manifests/a.yaml:6:", "too-deep: "],
        ),
        case("JSON objects", [("manifests/a.json", nested(r#"{"a":"#, "}"))], 3, &["manifests/a.json:1:", "too-deep: "]),
        case(
            "JSON that is not closed",
            [("manifests/a.json", r#"{"a":["#.repeat(100_000))],
            3,
            &["manifests/a.json:1:", "too-deep: "],
        ),
        case(
            "live values",
            [("live/a.yaml", format!("{head}  a: {}\n", nested("{a: ", "}")))],
            3,
            &["live: a.yaml:5:", "too-deep: "],
        ),
        case("live FieldsV1", [("live/ok.yaml", managed)], 3, &["live: ok.yaml:", "too-deep: "]),
        case("a path in policy", [("policies/deep.toml", policy(&format!("a{}", ".a".repeat(100_000))))], 0, &["1 object true"]),
        case(
            "brackets in policy",
            [("policies/deep.toml", format!("a = {}\n", nested("[", "]")))],
            2,
            &["policies/deep.toml:1:", "policy: "],
        ),
        case(
            "a state",
            [
                ("trueup.toml", TERRAFORM.to_owned()),
                ("infra/data.expect.toml", "[output.a]\npresent = true\n".to_owned()),
                ("infra/terraform.tfstate", STATE.replace("\"resources\":[]", &format!("\"resources\":{}", nested("[", "]")))),
            ],
            0,
            &["1 output true"],
        ),
        case(
            "an expectation",
            [
                ("trueup.toml", TERRAFORM.to_owned()),
                ("infra/data.expect.toml", format!("[output.a]\nequals = {}\n", nested("[", "]"))),
                ("infra/terraform.tfstate", STATE.to_owned()),
            ],
            3,
            &["infra/data.expect.toml:2:", "toml-syntax: "],
        ),
        case(
            "a regular expression",
            [
                ("trueup.toml", TERRAFORM.to_owned()),
                ("infra/data.expect.toml", format!("[output.a]\nmatches = '{}'\n", nested("(", ")"))),
                ("infra/terraform.tfstate", STATE.to_owned()),
            ],
            3,
            &["infra/data.expect.toml:2:11: bad-pattern: "],
        ),
    ]);
}

#[test]
fn what_is_no_text_is_named_at_its_byte() {
    let half = config_map("a", "info") + "  b: caf";
    let terraform = |expect: &str, state: &str| {
        [
            ("trueup.toml", TERRAFORM.to_owned()),
            ("infra/data.expect.toml", expect.to_owned()),
            ("infra/terraform.tfstate", state.to_owned()),
        ]
    };
    let present = "[output.a]\npresent = true\n";
    check([
        case(
            "NUL in a manifest",
            [("manifests/a.yaml", half.clone() + "\0")],
            3,
            &["manifests/a.yaml:8:9: yaml-syntax: U+0000 is no plain text"],
        ),
        case(
            "Latin-1 in a manifest",
            [("manifests/a.yaml", half.clone())],
            3,
            &["manifests/a.yaml:8:9: not-utf8: byte 98 of the file is not UTF-8"],
        )
        .with_bytes(0, b"\xe9\n"),
        case("UTF-16", [("manifests/a.yaml", String::new())], 3, &["manifests/a.yaml:1:1: not-utf8: "]).with_bytes(
            0,
            &[&b"\xff\xfe"[..], &"apiVersion: v1\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()].concat(),
        ),
        case("NUL in a live object", [("live/a.yaml", half.clone() + "\0")], 3, &["live: a.yaml:8:9: yaml-syntax: U+0000"]),
        case("Latin-1 in a live object", [("live/a.yaml", half)], 3, &["live: a.yaml:8:9: not-utf8: "]).with_bytes(0, b"\xe9\n"),
        case(
            "Latin-1 in policy",
            [("policies/a.toml", "# caf".to_owned())],
            2,
            &["policies/a.toml:1: not UTF-8; save the file as UTF-8"],
        )
        .with_bytes(0, b"\xe9\n"),
        case("NUL in policy", [("policies/a.toml", "[[class]]\nname = \"\0\"\n".to_owned())], 2, &["policies/a.toml:2:"]),
        case("Latin-1 in the configuration", [("trueup.toml", format!("{SNAPSHOT}# caf"))], 2, &["trueup.toml"])
            .with_bytes(0, b"\xe9\n"),
        case("Latin-1 in a state", terraform(present, &STATE.replace('!', "")[..90]), 3, &["infra/terraform.tfstate`: "])
            .with_bytes(2, b"\xe9\"}}}"),
        case(
            "NUL behind a state",
            terraform(present, &format!("{STATE}\0")),
            3,
            &["infra/terraform.tfstate`: the state has bytes behind its end, at line 1"],
        ),
        case(
            "Latin-1 in an expectation",
            terraform("# caf", STATE),
            3,
            &["infra/data.expect.toml:1: not UTF-8; save the file as UTF-8"],
        )
        .with_bytes(1, b"\xe9\n"),
    ]);
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
    check([
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
    ]);
}

#[test]
fn what_takes_for_ever_elsewhere_does_not_here() {
    let class = |index: usize| {
        format!(
            "[[class]]\nname = \"c{index}\"\nmatch = {{ name = \"n{index}-*\", path = \"spec.**.a{index}\" }}\nlane = \"watch\"\n"
        )
    };
    let pattern = |text: &str| {
        format!(
            "[[class]]\nname = \"slow\"\nmatch = {{ name = \"{}b\", path = \"{}\" }}\nlane = \"escalate\"\n",
            text.repeat(2000),
            "**.".repeat(2000) + "x"
        )
    };
    let long = "a".repeat(253);
    let expect = |pattern: &str| {
        [
            ("trueup.toml", TERRAFORM.to_owned()),
            ("infra/data.expect.toml", format!("[output.a]\nmatches = '{pattern}'\n")),
            ("infra/terraform.tfstate", STATE.to_owned()),
        ]
    };
    check([
        case(
            "10,000 rules",
            [("policies/many.toml", lines(10_000, class)), ("live/ok.yaml", live_config_map("ok", "debug"))],
            1,
            &["1 finding: 1 auto"],
        ),
        case(
            "10,000 rules with one mistake",
            [("policies/many.toml", lines(10_000, class) + "[[class]]\nname = 3\n")],
            2,
            &["policies/many.toml:40002:8: policy: invalid type: integer `3`, expected a string"],
        ),
        case(
            "10,000 mistakes",
            [("policies/many.toml", lines(10_000, |index| class(index).replace("spec.", "spec..")))],
            2,
            &["policies/many.toml:3:33: policy: `spec..**.a0` is not a path", "\nand 9900 more\n"],
        ),
        case(
            "stars in a name and in a path",
            [
                ("policies/slow.toml", pattern("*a")),
                ("manifests/a.yaml", config_map(&long, "info")),
                ("live/a.yaml", live_config_map(&long, "debug")),
            ],
            1,
            &["1 finding: 1 auto"],
        ),
        case("a regular expression that others try for ever", expect("(a+)+b"), 1, &["data output a"]),
        case(
            "a regular expression of a million states",
            expect("((a{1000}){1000}){1000}"),
            3,
            &["infra/data.expect.toml:2:11: bad-pattern: "],
        ),
    ]);
}
