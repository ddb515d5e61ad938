//! Outputs that are bound to fields of manifests, or to outputs of other states.

use super::stopped::{branches, ended};
use super::*;

const TARGETS: &str = "[source]\nrepo = \".\"\nref = \"main\"\n\n[review]\nforge = \"local\"\n\n\
    [[target]]\nname = \"prod\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"manifests\"]\n\n\
    [[target]]\nname = \"data\"\nkind = \"terraform\"\nstate = \"live/data.tfstate\"\nbind = [\"infra/data.bind.toml\"]\n\n\
    [[target]]\nname = \"network\"\nkind = \"terraform\"\nstate = \"live/network.tfstate\"\nexpect = [\"infra/network.expect.toml\"]\n";

/// Values are corrected, outputs proposed.
fn policy() -> String {
    let classes = "[[class]]\nname = \"data\"\nmatch = { kind = \"ConfigMap\", path = \"data.*\" }\nlane = \"auto\"\nstage = \"auto\"\n\n\
    [[class]]\nname = \"outputs\"\nmatch = { kind = \"Output\" }\nlane = \"review\"\nstage = \"recommend\"\n\n";
    format!("{classes}{}", value_by_hand("data"))
}

const BIND: &str = "[[binding]]\noutput = \"database\"\npointer = \"/hosts/0\"\n\
    field = { file = \"manifests/app.yaml\", object = \"ConfigMap/shop/app\", path = \"data.DB_HOST\" }\n\n\
    [[binding]]\noutput = \"port\"\nfield = { file = \"manifests/app.yaml\", object = \"ConfigMap/shop/app\", path = \"data.DB_PORT\" }\n";

const MANIFEST: &str = "# what the shop runs on\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: shop}\ndata:\n  \
    DB_HOST: db-a.internal   # the primary\n  DB_PORT: \"5432\"\n  LEVEL: info\n";

fn state(world: &World, name: &str, outputs: &Value) {
    let outputs: serde_json::Map<String, Value> = outputs
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let (name, sensitive) = match name.strip_prefix('!') {
                Some(name) => (name, true),
                None => (name.as_str(), false),
            };
            (name.to_owned(), json!({"value": value, "type": "dynamic", "sensitive": sensitive}))
        })
        .collect();
    let path = world.repo.path().join(format!("live/{name}.tfstate"));
    let before: Option<Value> = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let serial = before.map_or(1, |before| before["serial"].as_u64().unwrap() + 1);
    let state = json!({"version": 4, "terraform_version": "1.9.0", "serial": serial, "lineage": name, "resources": [], "outputs": outputs});
    world.repo.write(&format!("live/{name}.tfstate"), state.to_string());
}

fn outputs(host: &str, port: &Value) -> Value {
    json!({"database": {"hosts": [host, "db-z.internal"]}, "port": port, "vpc": "vpc-1"})
}

fn live(world: &World, host: &str) {
    world.live(&json!({"DB_HOST": host, "DB_PORT": "5432", "LEVEL": "info"}), Some("7"));
}

fn bound() -> World {
    let world = World::of(&json!({}), &json!({}));
    world.repo.write("trueup.toml", TARGETS);
    world.repo.write("policies/drift.toml", policy());
    world.repo.write("infra/data.bind.toml", BIND);
    world.repo.write("infra/network.expect.toml", "[output.vpc]\npresent = true\n");
    world.repo.write("manifests/app.yaml", MANIFEST);
    live(&world, "db-a.internal");
    state(&world, "data", &outputs("db-a.internal", &json!(5432)));
    state(&world, "network", &json!({"vpc": "vpc-1"}));
    world.repo.commit("bound");
    world
}

fn host(world: &World) -> Value {
    world.read_live()["data"]["DB_HOST"].clone()
}

/// The one branch that was proposed: its place, and what it changes in the manifest.
fn proposed(world: &World) -> (String, Vec<String>) {
    let branch = world.repo.git(&["branch", "--list", "--format=%(refname:short)", "trueup/*"]);
    assert_eq!(branch.lines().count(), 1, "{branch}");
    let diff = world.repo.git(&["diff", "--unified=0", "main", &branch]);
    let lines = diff.lines().filter(|line| (line.starts_with('+') || line.starts_with('-')) && !line.contains("/manifests/"));
    (branch, lines.map(str::to_owned).collect())
}

#[tokio::test]
async fn an_output_that_moved_edits_exactly_its_line_in_git() {
    let world = bound();
    assert_eq!(world.run(&["sync"]).status.code(), Some(0), "{:#}", world.json(&["diff"]));
    state(&world, "data", &outputs("db-b.internal", &json!(5432)));
    let report = world.json(&["sync"]);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["desired"], &finding["live"], &finding["predicate"]),
        (&json!("db-a.internal"), &json!("db-b.internal"), &json!("bound")),
        "{report:#}"
    );
    assert_eq!((&finding["origin"]["file"], &finding["origin"]["line"]), (&json!("manifests/app.yaml"), &json!(6)), "{report:#}");
    assert_eq!(finding["object"]["bound"]["field"]["path"], "data.DB_HOST", "{report:#}");
    let (branch, lines) = proposed(&world);
    assert_eq!(lines, ["-  DB_HOST: db-a.internal   # the primary", "+  DB_HOST: db-b.internal   # the primary"]);
    assert_eq!(host(&world), "db-a.internal", "live follows once it is merged");

    world.repo.git(&["merge", "--quiet", &branch]);
    live(&world, "db-a.internal");
    let report = world.json(&["sync"]);
    assert_eq!(host(&world), "db-b.internal", "{report:#}");
    assert_eq!(world.run(&["diff"]).status.code(), Some(0));
}

#[tokio::test]
async fn a_live_value_that_moved_is_corrected_by_policy_and_never_adopted() {
    let world = bound();
    live(&world, "db-x.internal");
    let report = world.json(&["diff"]);
    assert!(
        report["findings"][0]["reasons"].to_string().contains("bound to the output `database` of target `data`"),
        "{report:#}"
    );
    world.repo.write(
        "policies/drift.toml",
        policy()
            .replace("lane = \"auto\"\nstage = \"auto\"\n\n", "lane = \"review\"\nstage = \"recommend\"\n\n")
            .split("[[case]]")
            .next()
            .unwrap(),
    );
    world.repo.commit("reviewed");
    let report = world.json(&["sync"]);
    assert_eq!(branches(&world), 0, "Git follows the output: {report:#}");
    assert!(report["runs"].to_string().contains("Git does not follow live"), "{report:#}");
    world.repo.write("policies/drift.toml", policy());
    world.repo.commit("corrected");
    world.json(&["sync"]);
    assert_eq!(host(&world), "db-a.internal");
}

#[tokio::test]
async fn where_both_moved_there_is_one_proposal_that_says_so_and_no_write() {
    for moved in ["db-b.internal", "db-x.internal"] {
        let world = bound();
        live(&world, moved);
        state(&world, "data", &outputs("db-b.internal", &json!(5432)));
        let report = world.json(&["sync"]);
        assert_eq!(host(&world), moved, "{report:#}");
        let (branch, lines) = proposed(&world);
        assert_eq!(lines[1], "+  DB_HOST: db-b.internal   # the primary");
        let patch = std::fs::read_dir(world.state.path().join("review")).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(patch).unwrap();
        let said = format!("{text}{}", report["findings"]);
        assert!(said.contains("both have moved"), "{moved}: {said}");
        world.repo.git(&["merge", "--quiet", &branch]);
        world.json(&["sync"]);
        assert_eq!(host(&world), "db-b.internal", "{moved}");
    }
}

#[tokio::test]
async fn texts_hold_numbers_and_what_a_field_cannot_hold_is_said() {
    let world = bound();
    state(&world, "data", &outputs("db-a.internal", &json!(6432)));
    world.json(&["sync"]);
    assert_eq!(proposed(&world).1, ["-  DB_PORT: \"5432\"", "+  DB_PORT: \"6432\""], "the style stays");
    for (outputs, code, words) in [
        (outputs("db-a.internal", &json!([1])), "binding-type", "the field holds a text"),
        (json!({"!database": {"hosts": ["db-a.internal"]}, "port": 5432}), "binding-secret", "into Git in clear"),
    ] {
        state(&world, "data", &outputs);
        let report = world.json(&["diff"]);
        let problem = report["problems"].as_array().unwrap().iter().find(|problem| problem["code"] == code);
        let problem = problem.unwrap_or_else(|| panic!("{report:#}"));
        assert!(
            problem["message"].as_str().unwrap().contains(words) && problem["origin"]["file"] == "infra/data.bind.toml",
            "{problem:#}"
        );
        assert_eq!(world.run(&["diff"]).status.code(), Some(3));
    }
    state(&world, "data", &json!({"database": {}, "port": 5432}));
    let report = world.json(&["sync"]);
    let of = |key: &str| report["findings"][0][key].clone();
    assert_eq!((of("change"), of("desired")), (json!("removed"), json!("db-a.internal")), "{report:#}");
    assert!(report["runs"].to_string().contains("nothing to adopt"), "{report:#}");
}

#[tokio::test]
async fn outputs_of_two_states_are_held_together_and_people_are_told_when_they_differ() {
    let world = bound();
    let same = "[[binding]]\noutput = \"vpc\"\nsame_as = { target = \"network\", output = \"vpc\" }\n";
    world.repo.write("infra/data.bind.toml", format!("{BIND}\n{same}"));
    world.repo.commit("two states");
    assert_eq!(world.run(&["diff"]).status.code(), Some(0));
    state(&world, "network", &json!({"vpc": "vpc-2"}));
    let report = world.json(&["sync"]);
    let finding = &report["findings"][0];
    assert_eq!((&finding["desired"], &finding["live"]), (&json!("vpc-2"), &json!("vpc-1")), "{report:#}");
    assert_eq!((&report["runs"][0]["action"], branches(&world)), (&json!("escalate"), 0), "{report:#}");
    let mut outputs = outputs("db-a.internal", &json!(5432));
    outputs["!vpc"] = json!("vpc-1");
    outputs.as_object_mut().unwrap().remove("vpc");
    state(&world, "data", &outputs);
    let report = world.json(&["diff"]);
    assert!(
        report["findings"][0]["live"]["masked"].is_string() && !report["findings"].to_string().contains("vpc-"),
        "{report:#}"
    );
    let report = world.json(&["diff", "--target", "data"]);
    assert!(report["problems"].to_string().contains("was not read in this round"), "{report:#}");
}

#[test]
fn check_names_each_mistake_of_a_binding_at_its_place() {
    let field = |file: &str, object: &str, path: &str| {
        format!("[[binding]]\noutput = \"port\"\nfield = {{ file = \"{file}\", object = \"{object}\", path = \"{path}\" }}\n")
    };
    let app = "ConfigMap/shop/app";
    for (text, place, words) in [
        (field("manifests/none.yaml", app, "data.DB_HOST"), "1:1", "`manifests/none.yaml` is not in"),
        (field("manifests/app.yaml", "ConfigMap/shop/none", "data.DB_HOST"), "1:1", "declares no `ConfigMap/shop/none`"),
        (field("manifests/app.yaml", app, "data.NONE"), "1:1", "has no `data.NONE`"),
        (field("manifests/app.yaml", "app", "data.DB_HOST"), "3:49", "is no KIND/NAMESPACE/NAME"),
        (field("manifests/secret.yaml", "Secret/shop/s", "stringData.password"), "1:1", "is secret"),
        (
            "[[binding]]\noutput = \"port\"\npointer = \"host\"\nsame_as = { target = \"network\", output = \"vpc\" }\n"
                .to_owned(),
            "3:11",
            "is no JSON pointer",
        ),
        (
            "[[binding]]\noutput = \"port\"\nsame_as = { target = \"none\", output = \"vpc\" }\n".to_owned(),
            "1:1",
            "there is no target `none`",
        ),
        (
            "[[binding]]\noutput = \"port\"\nsame_as = { target = \"prod\", output = \"vpc\" }\n".to_owned(),
            "1:1",
            "is no Terraform state",
        ),
        ("[[binding]]\noutput = \"port\"\n".to_owned(), "1:1", "what does it equal?"),
        ("[[binding]]\nzzz = 1\n".to_owned(), "2:1", "unknown field `zzz`"),
        (String::new(), "1:1", "the file binds nothing"),
    ] {
        let world = bound();
        world.repo.write(
            "manifests/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {password: \"5432\"}\n",
        );
        world.repo.write("infra/data.bind.toml", &text);
        let said = ended(&world, &["check"], 2);
        assert!(said.contains(&format!("infra/data.bind.toml:{place}: ")) && said.contains(words), "{text}\n{said}");
    }
    let said = ended(&bound(), &["check"], 0);
    assert!(said.contains("3 outputs"), "{said}");
}
