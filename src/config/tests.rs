//! What `trueup.toml` may say, and how mistakes are answered.

use super::*;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    file::parse(Path::new("/srv/platform/trueup.toml"), text, &|_| None)
}

#[test]
fn a_small_file_and_its_defaults() {
    let settings = parse("[source]\nrepo = \".\"\n[[target]]\nname = \"prod\"\nkind = \"kubernetes\"\npaths = [\"manifests\"]\n")
        .expect("valid");
    assert_eq!(settings.source.reference, "main");
    assert_eq!(settings.policies, ["policies"]);
    assert_eq!(settings.run, RunSettings { every: Duration::from_mins(5), jitter: Duration::from_secs(30) });
    assert_eq!(settings.review.forge, Forge::Local);
}

#[test]
fn the_environment_wins_over_the_file() {
    let environment = |name: &str| (name == "TRUEUP_SOURCE_REF").then(|| "release".to_owned());
    let text = "[source]\nrepo = \".\"\nref = \"main\"\n[[target]]\nname = \"s\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"m\"]\n";
    let settings = file::parse(Path::new("/srv/platform/trueup.toml"), text, &environment).expect("valid");
    assert_eq!(settings.source.reference, "release");
}

#[test]
fn mistakes_name_their_place() {
    let head = "[source]\nrepo = \".\"\n";
    for (text, message) in [
        ("", "/srv/platform/trueup.toml:1:1: missing field `source`"),
        (
            "[source]\nrepo = \".\"\nbranch = \"x\"\n",
            "/srv/platform/trueup.toml:3:1: unknown field `branch`, expected `repo` or `ref`",
        ),
        ("[source]\nrepo = 1\n", "/srv/platform/trueup.toml:2:8: invalid type: integer `1`, expected a string"),
        (head, "/srv/platform/trueup.toml:3:1: no [[target]]: name at least one cluster, snapshot or Terraform state"),
        (
            "[source]\nrepo = \".\"\n[[target]]\nname = \"a\"\nkind = \"terraform\"\nlive = \"x\"\n",
            "/srv/platform/trueup.toml:3:1: target `a`: `live` does not belong to a target of this kind",
        ),
        (
            "[source]\nrepo = \".\"\n[run]\nevery = \"5\"\n[[target]]\nname = \"a\"\nkind = \"snapshot\"\nlive = \"x\"\npaths = []\n",
            "/srv/platform/trueup.toml:4:9: `5` is no duration: write seconds, minutes or hours, as in \"30s\", \"5m\" or \"1h\"",
        ),
    ] {
        assert_eq!(parse(text).expect_err(text).to_string(), message);
    }
}
