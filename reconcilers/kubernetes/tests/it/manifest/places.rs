//! Where values stand: lines, columns and byte spans of the file as it is.

use trueup_core::positions::Position;

use super::{fixture, read_one, read_text};

/// What stands in the file at a value's position.
fn written<'a>(text: &'a str, position: &Position) -> &'a str {
    &text[position.start..position.end]
}

#[test]
fn spans_hold_a_value_as_it_is_written() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: é # comment\n  labels: {a: 'it''s', \"b\": \"x\"}\nspec:\n  \
                a/b~c:\n  - image: nginx:1.25   # pinned\n    args: [ -v , 'two' ]\n  - plain\n  empty:\n  text: |-  # why\n    one\n    two\n  end: 1\n";
    let object = read_one(text);
    for (pointer, expected) in [
        ("/metadata/name", (4, 9, "é")),
        ("/metadata/labels", (5, 11, "{a: 'it''s', \"b\": \"x\"}")),
        ("/metadata/labels/a", (5, 15, "'it''s'")),
        ("/metadata/labels/b", (5, 29, "\"x\"")),
        ("/spec/a~1b~0c/0/image", (8, 12, "nginx:1.25")),
        ("/spec/a~1b~0c/0", (8, 5, "image: nginx:1.25   # pinned\n    args: [ -v , 'two' ]")),
        ("/spec/a~1b~0c/0/args/0", (9, 13, "-v")),
        ("/spec/a~1b~0c/1", (10, 5, "plain")),
        ("/spec/empty", (11, 9, "")),
        ("/spec/text", (12, 9, "|-  # why\n    one\n    two\n")),
        ("/spec/end", (15, 8, "1")),
    ] {
        let position = object.positions.get(pointer).expect("a position");
        assert_eq!((position.line, position.column, written(text, &position)), expected, "{pointer}");
    }
    assert_eq!(object.positions.get("").expect("a position").start, 0);
}

#[test]
fn a_plain_scalar_can_be_spliced() {
    let text = std::fs::read_to_string(fixture("windows.yaml")).expect("the fixture");
    let (objects, _) = read_text(&text);
    let position = objects[0].positions.get("/data/plain").expect("a position");
    assert_eq!(written(&text, &position), "a\r\n    b");
    let name = objects[1].positions.get("/metadata/name").expect("a position");
    let spliced = format!("{}renamed{}", &text[..name.start], &text[name.end..]);
    let (again, problems) = read_text(&spliced);
    assert_eq!(problems, []);
    assert_eq!((&again[0].value, again[1].id.name.as_str()), (&objects[0].value, "renamed"));
    assert_eq!(objects[1].origin.to_string(), "m.yaml:15:1");
    let last = objects[1].positions.get("/data/last").expect("a position");
    assert_eq!((last.line, last.end), (20, text.len()));
}

#[test]
fn merged_values_stand_at_their_anchor_and_aliases_where_they_are_used() {
    let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nbase: &x {a: 1}\nmerged:\n  <<: *x\nalias: *x\n";
    let object = read_one(text);
    for (pointer, expected) in [("/merged/a", (4, 14, "1")), ("/alias", (7, 8, "*x")), ("/alias/a", (4, 14, "1"))] {
        let position = object.positions.get(pointer).expect("a position");
        assert_eq!((position.line, position.column, written(text, &position)), expected, "{pointer}");
    }
}

#[test]
fn origins_count_documents_and_items() {
    let text = std::fs::read_to_string(fixture("list.yaml")).expect("the fixture");
    let (objects, _) = read_text(&text);
    let origins: Vec<String> =
        objects.iter().map(|object| format!("{} {} #{}", object.id, object.origin, object.origin.document)).collect();
    assert_eq!(
        origins,
        [
            "ConfigMap shop/one m.yaml:6:3 #1",
            "Deployment two m.yaml:9:3 #1",
            "ConfigMap three m.yaml:20:3 #4",
            "Secret four m.yaml:22:3 #4",
        ]
    );
    let json = std::fs::read_to_string(fixture("stream.json")).expect("the fixture");
    let (objects, _) = read_text(&json);
    let origins: Vec<String> =
        objects.iter().map(|object| format!("{} {} #{}", object.id, object.origin, object.origin.document)).collect();
    assert_eq!(origins, ["ConfigMap one m.yaml:1:1 #1", "ConfigMap two m.yaml:4:1 #2", "ConfigMap three m.yaml:4:65 #3"]);
    assert_eq!(written(&json, &objects[2].positions.get("/metadata/name").expect("a position")), "\"three\"");
}

/// As editors and `sed` count, whatever YAML makes of it.
#[test]
fn a_return_alone_ends_no_line_of_json() {
    let text = "{\"apiVersion\": \"v1\",\r \"kind\": \"ConfigMap\",\r\n\"metadata\": {\"name\":\r\"a\"}}\n{\"kind\": 1}\n";
    let (objects, problems) = read_text(text);
    let at = |pointer: &str| objects[0].positions.get(pointer).map(|position| (position.line, position.column));
    assert_eq!((at("/kind"), at("/metadata/name")), (Some((1, 31)), Some((2, 22))));
    assert_eq!(problems[0].origin.as_ref().map(|origin| origin.line), Some(3), "{problems:?}");
}
