use trueup_core::finding::Predicate::{self, Absent, Equals, Matches, Max, Min, OneOf, Present, Sensitive, Set, Subset};
use trueup_terraform::expect::{Test, read};

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = read("infra/data.expect.toml", text);
    assert!(problems.iter().all(|problem| problem.blinds), "what is not judged is not true");
    problems.iter().map(ToString::to_string).collect()
}

fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:#?}");
    problems.into_iter().next().unwrap().replace("infra/data.expect.toml:", "")
}

#[test]
fn each_predicate_is_read_where_it_stands() {
    let digest = "pbkdf2-sha256:600000:MDEyMzQ1Njc4OWFiY2RlZg==:UuYdjzflKURYrCIlEmAIyh4yx4R7IoIh1XTcMF9A+M4=";
    let text = format!(
        "# ä comment\n[output.a]\nequals = {{ region = \"eu\", n = 1 }}\n[output.b]\none_of = [1, \"x\"]\n[output.c]\nmatches = 'a+'\n\
         [output.d]\nmax = 5\nmin = 2\n[output.e]\nset = []\n[output.f]\nsubset = [1]\n[output.g]\npresent = true\n\
         [output.h]\nabsent = true\n[output.i]\nsensitive = \"{digest}\"\n[output]\n\"j.k\".present = true\n"
    );
    let (expectations, problems) = read("e.toml", &text);
    assert_eq!(problems, []);
    let read: Vec<(String, Vec<Predicate>)> = expectations
        .iter()
        .map(|one| (one.output.clone(), one.predicates.iter().map(|predicate| predicate.test.predicate()).collect()))
        .collect();
    let named = |name: &str, predicates: &[Predicate]| (name.to_owned(), predicates.to_vec());
    assert_eq!(
        read,
        [
            named("a", &[Equals]),
            named("b", &[OneOf]),
            named("c", &[Matches]),
            named("d", &[Max, Min]),
            named("e", &[Set]),
            named("f", &[Subset]),
            named("g", &[Present]),
            named("h", &[Absent]),
            named("i", &[Sensitive]),
            named("j.k", &[Present]),
        ]
    );
    let equals = &expectations[0].predicates[0];
    assert_eq!(&text[equals.position.start..equals.position.end], "{ region = \"eu\", n = 1 }");
    assert_eq!(expectations[0].origin_of(equals).to_string(), "e.toml:3:10");
    assert_eq!(expectations[0].origin.to_string(), "e.toml:2:9");
}

#[test]
fn columns_count_characters_and_spans_count_bytes() {
    let text = "output = { \"ä\" = { equals = \"ö\" } }";
    let (expectations, problems) = read("e.toml", text);
    assert_eq!(problems, []);
    let position = expectations[0].predicates[0].position;
    assert_eq!((position.line, position.column), (1, 29));
    assert_eq!(&text[position.start..position.end], "\"ö\"");
    let crlf = "[output.a]\r\nequals = 1\r\n";
    assert_eq!(read("e.toml", crlf).0[0].predicates[0].position.line, 2);
}

#[test]
fn integers_are_exact_in_every_notation() {
    let value = |text: &str| match &read("e.toml", &format!("output.a.equals = {text}")).0[0].predicates[0].test {
        Test::Equals(value) => value.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(value("123456789012345678901234567890"), "123456789012345678901234567890");
    assert_eq!(value("-1_000"), "-1000");
    assert_eq!(value("0xff"), "255");
    assert_eq!(value("0o17"), "15");
    assert_eq!(value("1_0.50e+1"), "105");
    assert_eq!(value("0.1"), "0.1");
}

#[test]
fn what_is_wrong_is_said_at_its_place() {
    assert_eq!(
        problem("[outputs.a]\nequals = 1"),
        "1:2: unknown-key: `outputs` is not known here; expectations stand in `[output.NAME]`"
    );
    assert_eq!(problem("output = 3"), "1:1: unknown-key: `output` holds tables; write `[output.NAME]`");
    assert_eq!(
        problem("[output]\na = 3"),
        "2:5: wrong-type: `output.a` is a table; write `[output.a]` and `equals = …` below it"
    );
    assert_eq!(
        problem("[output.a]\nequal = 3"),
        "2:1: unknown-key: `equal` is not a predicate; there are `equals`, `one_of`, `matches`, `min`, `max`, `set`, `subset`, \
         `present`, `absent` and `sensitive`"
    );
    assert_eq!(problem("[output.a]\nmatches = 3"), "2:11: wrong-type: `matches` is a string, not an integer");
    assert_eq!(problem("[output.a]\nmin = '3'"), "2:7: wrong-type: `min` is a number, not a string");
    assert_eq!(problem("[output.a]\nset = 'x'"), "2:7: wrong-type: `set` is a list, not a string; write `set = […]`");
    assert_eq!(problem("[output.a]\npresent = false"), "2:11: wrong-type: `present = false`: write `absent = true`");
    assert_eq!(problem("[output.a]\nabsent = 1"), "2:10: wrong-type: `absent` is `true`, not an integer");
    assert_eq!(
        problem("[output.a]\nequals = 2026-11-20"),
        "2:10: wrong-type: Terraform has no dates; write `\"2026-11-20\"`, as the output holds a string"
    );
    assert_eq!(
        problem("[output.a]\nmax = inf"),
        "2:7: bad-number: `inf` is no number that Terraform can hold; write a decimal one"
    );
    assert_eq!(
        problem("[output.a]\nmatches = 'a)|(b'"),
        "2:11: bad-pattern: `a)|(b` is not a regular expression: unopened group"
    );
    assert!(problem("[output.a]\nmatches = '(?=x)'").contains("bad-pattern"));
    assert_eq!(
        problem("# nothing\n"),
        "1:1: expects-nothing: the file expects nothing; write an `[output.NAME]`, or take the file out of the target's `expect`"
    );
}

#[test]
fn a_bad_digest_is_not_repeated() {
    let said = problem("[output.a]\nsensitive = 'hunter2'");
    assert_eq!(said, "2:13: bad-digest: a digest is `pbkdf2-sha256:ROUNDS:SALT:DIGEST`, with salt and digest in base64");
    let said = problem("[output.a]\nsensitive = 'pbkdf2-sha256:1000:MDEyMzQ1Njc4OWFiY2RlZg==:AA=='");
    assert!(said.contains("1000 rounds are too few"), "{said}");
}

#[test]
fn contradictions_are_errors() {
    assert_eq!(
        problem("[output.a]\nequals = 1\nabsent = true"),
        "3:1: contradiction: `absent` beside `equals`: only `min` and `max` go together; keep one of the two"
    );
    assert_eq!(
        problem("[output.a]\nmin = 5\nmax = 2.5"),
        "3:1: contradiction: no number is at least 5 and at most 2.5; exchange `min` and `max`"
    );
    assert_eq!(
        problem("[output.a]\n"),
        "1:9: contradiction: `output.a` asks for nothing; write `present = true` if any value will do"
    );
    assert!(problem("[output.a]\none_of = []").starts_with("2:10: contradiction: an empty `one_of`"));
    assert!(problem("[output.a]\nset = [1, 2, 1.0]").starts_with("2:7: contradiction: `1` stands twice in `set`"));
    assert!(problem("[output.a]\nmin = 1\nmax = 2\nequals = 1").starts_with("3:1: contradiction"));
}

#[test]
fn one_bad_output_does_not_sink_its_neighbours() {
    let (expectations, problems) =
        read("e.toml", "[output.a]\nequals = 1\n[output.b]\nequal = 1\nmin = 'x'\n[output.c]\nmin = 1\n");
    assert_eq!(expectations.iter().map(|one| one.output.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(problems.len(), 2);
}

#[test]
fn of_a_file_that_is_not_toml_nothing_is_judged() {
    let (expectations, problems) = read("e.toml", "[output.a]\nequals = \"x\n[output.b]\nequals = 1\n[output.b]\nequals = 2\n");
    assert_eq!(expectations, []);
    assert_eq!(problems[0].code, "toml-syntax");
    assert_eq!(problems[0].origin.as_ref().unwrap().line, 2);
    let (expectations, problems) = read("e.toml", "[output.a]\nequals = 1\nequals = 2\n");
    assert_eq!((expectations.len(), problems.len()), (0, 1));
    assert_eq!(problems[0].origin.as_ref().unwrap().line, 3);
}
