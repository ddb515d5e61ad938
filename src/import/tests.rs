//! What rules of Argo CD and Flux come to, and what is refused.

use insta::assert_snapshot;
use trueup_core::policy::Policy;

use super::{jq, policy, rules_of};

/// The policy of a file of `testdata/import`; it reads as one.
fn imported(name: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/import").join(name);
    let bytes = std::fs::read(&file).expect("a file of testdata");
    let found = rules_of(std::path::Path::new(name), &bytes).expect("manifests");
    let text = policy(&found);
    Policy::read(&[("imported.toml".to_owned(), text.clone())]).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    text
}

#[test]
fn an_application_of_argo_cd() {
    assert_snapshot!(imported("argo-application.yaml"));
}

#[test]
fn the_settings_of_argo_cd() {
    assert_snapshot!(imported("argocd-cm.yaml"));
}

#[test]
fn releases_and_annotations_of_flux() {
    assert_snapshot!(imported("flux.yaml"));
}

#[test]
fn plain_paths_of_jq() {
    for (expression, path) in [
        (".spec.replicas", "spec.replicas"),
        (".spec.template.spec.containers[].image", "spec.template.spec.containers[*].image"),
        (
            ".spec.template.spec.initContainers[] | select(.name == \"injected\")",
            "spec.template.spec.initContainers[name=\"injected\"]",
        ),
        (".webhooks[]?.clientConfig.caBundle", "webhooks[*].clientConfig.caBundle"),
        (".webhooks[] | select(.name==\"a.b\") | .clientConfig.caBundle", "webhooks[name=\"a.b\"].clientConfig.caBundle"),
        (".spec.ports[]|select(.port == 80).nodePort", "spec.ports[port=80].nodePort"),
        (".metadata.annotations.\"example.com/a\"", "metadata.annotations[\"example.com/a\"]"),
        (".metadata.annotations[\"example.com/a\"]", "metadata.annotations[\"example.com/a\"]"),
        (".metadata.labels[]", "metadata.labels.*"),
        (".spec.list[3]", "spec.list[3]"),
    ] {
        let found = jq::path(expression).expect(expression);
        assert_eq!(found, path, "{expression}");
        found.parse::<trueup_core::pattern::PathPattern>().expect("a path of policies");
    }
    for expression in [
        "..",
        ".",
        ".spec.containers[] | select(.name | startswith(\"a\"))",
        ".spec.containers[] | select(.name == \"a\" or .name == \"b\")",
        ".spec | with_entries(.value)",
        ".spec.list[-1]",
        ".spec.list[1:3]",
        "keys",
        ".spec.a as $x | $x",
        ".spec.containers | select(.name == \"a\")",
        ".spec.\"a",
        ".spec.containers[",
        "del(.spec)",
        ".spec.a-b",
    ] {
        assert!(jq::path(expression).is_err(), "{expression}: {:?}", jq::path(expression));
    }
}
