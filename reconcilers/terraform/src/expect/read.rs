//! From TOML to expectations, with a place for everything that is wrong.

use super::place::Source;
use super::{DeString, DeTable, DeValue, Decimal, ExactValue, Expectation, Pattern, Predicated, Problem, Range, Spanned, Test};

/// What is wrong with one value: a code, and a message with a hint.
struct Fault {
    code: &'static str,
    message: String,
}

type Entry<'a, 'b> = (&'b Spanned<DeString<'a>>, &'b Spanned<DeValue<'a>>);

pub(super) fn read(source: &Source<'_>) -> (Vec<Expectation>, Vec<Problem>) {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        return (Vec::new(), errors.iter().map(|error| syntax(source, error)).collect());
    }
    let mut expectations = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in document.get_ref() {
        match value.get_ref() {
            DeValue::Table(outputs) if name.get_ref() == "output" => {
                for entry in outputs {
                    match expectation(source, entry) {
                        Ok(expectation) => expectations.push(expectation),
                        Err(faults) => problems.extend(faults),
                    }
                }
            }
            _ => problems.push(stray(source, name)),
        }
    }
    if expectations.is_empty() && problems.is_empty() {
        let message = "the file expects nothing; write an `[output.NAME]`, or take the file out of the target's `expect`";
        problems.push(Problem::blind("expects-nothing", message, Some(source.origin(0..0))));
    }
    expectations.sort_by_key(|expectation| (expectation.origin.line, expectation.origin.column));
    problems.sort_by(|a, b| a.origin.cmp(&b.origin));
    (expectations, problems)
}

fn syntax(source: &Source<'_>, error: &toml::de::Error) -> Problem {
    let end = source.text().len();
    let message = format!("{}; nothing of this file is judged until it is TOML", error.message());
    Problem::blind("toml-syntax", message, Some(source.origin(error.span().unwrap_or(end..end))))
}

fn stray(source: &Source<'_>, name: &Spanned<DeString<'_>>) -> Problem {
    let message = match name.get_ref().as_ref() {
        "output" => "`output` holds tables; write `[output.NAME]`".to_owned(),
        other => format!("`{other}` is not known here; expectations stand in `[output.NAME]`"),
    };
    Problem::blind("unknown-key", message, Some(source.origin(name.span())))
}

fn expectation(source: &Source<'_>, (name, value): Entry<'_, '_>) -> Result<Expectation, Vec<Problem>> {
    let problem = |fault: Fault, span: Range<usize>| Problem::blind(fault.code, fault.message, Some(source.origin(span)));
    let output = name.get_ref().to_string();
    let DeValue::Table(table) = value.get_ref() else {
        let fault = wrong_type(format!("`output.{output}` is a table; write `[output.{output}]` and `equals = …` below it"));
        return Err(vec![problem(fault, value.span())]);
    };
    let mut predicates = Vec::new();
    let mut problems = Vec::new();
    for (key, value) in table {
        match test(key.get_ref(), value.get_ref()) {
            Ok(test) => predicates.push((key.span(), Predicated { test, position: source.position(value.span()) })),
            Err(fault) if fault.code == "unknown-key" => problems.push(problem(fault, key.span())),
            Err(fault) => problems.push(problem(fault, value.span())),
        }
    }
    if problems.is_empty() {
        predicates.sort_by_key(|(_, predicate)| predicate.position.start);
        if let Some((fault, span)) = contradiction(&output, &predicates, name.span()) {
            problems.push(problem(fault, span));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let predicates = predicates.into_iter().map(|(_, predicate)| predicate).collect();
    Ok(Expectation { output, origin: source.origin(name.span()), predicates })
}

/// One predicate says it all, or `min` and `max` together; anything else contradicts itself or says a thing twice.
fn contradiction(output: &str, predicates: &[(Range<usize>, Predicated)], table: Range<usize>) -> Option<(Fault, Range<usize>)> {
    let fault = |message| Fault { code: "contradiction", message };
    let tests: Vec<_> = predicates.iter().map(|(_, predicate)| &predicate.test).collect();
    match tests[..] {
        [] => {
            let message = format!("`output.{output}` asks for nothing; write `present = true` if any value will do");
            Some((fault(message), table))
        }
        [_] => None,
        [Test::Min(least), Test::Max(most)] | [Test::Max(most), Test::Min(least)] => (least > most).then(|| {
            let message = format!("no number is at least {least} and at most {most}; exchange `min` and `max`");
            (fault(message), predicates[1].0.clone())
        }),
        [first, second, ..] => {
            let (first, second) = (first.predicate().name(), second.predicate().name());
            let message = format!("`{second}` beside `{first}`: only `min` and `max` go together; keep one of the two");
            Some((fault(message), predicates[1].0.clone()))
        }
    }
}

fn test(key: &str, value: &DeValue<'_>) -> Result<Test, Fault> {
    match key {
        "equals" => exact(value).map(Test::Equals),
        "one_of" => at_least_one(key, value).map(Test::OneOf),
        "matches" => matches(value),
        "min" => number(key, value).map(Test::Min),
        "max" => number(key, value).map(Test::Max),
        "set" => each_once(key, members(key, value)?).map(Test::Set),
        "subset" => at_least_one(key, value).and_then(|members| each_once(key, members)).map(Test::Subset),
        "present" => claim(key, value, "absent").map(|()| Test::Present),
        "absent" => claim(key, value, "present").map(|()| Test::Absent),
        "sensitive" => sensitive(value),
        unknown => Err(Fault {
            code: "unknown-key",
            message: format!(
                "`{unknown}` is not a predicate; there are `equals`, `one_of`, `matches`, `min`, `max`, `set`, `subset`, \
                 `present`, `absent` and `sensitive`"
            ),
        }),
    }
}

/// In bytes. To read a longer one takes more memory than a state.
const LONGEST_PATTERN: usize = 10_000;

fn wrong_type(message: String) -> Fault {
    Fault { code: "wrong-type", message }
}

fn matches(value: &DeValue<'_>) -> Result<Test, Fault> {
    let text = value.as_str().ok_or_else(|| wrong_type(format!("`matches` is a string, not {}", a(value))))?;
    if text.len() > LONGEST_PATTERN {
        let message = format!("`matches` has {} bytes; a regular expression has at most {LONGEST_PATTERN}", text.len());
        return Err(Fault { code: "bad-pattern", message });
    }
    Pattern::new(text).map(Test::Matches).map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        // The place says where the rest of it stands.
        let shown = match text.char_indices().nth(200) {
            Some((end, _)) => format!("`{}…`", &text[..end]),
            None => format!("`{text}`"),
        };
        Fault { code: "bad-pattern", message: format!("{shown} is not a regular expression: {last}") }
    })
}

fn sensitive(value: &DeValue<'_>) -> Result<Test, Fault> {
    let text = value.as_str().ok_or_else(|| wrong_type(format!("`sensitive` is a string, not {}", a(value))))?;
    // The text is not repeated: it may be the secret itself.
    text.parse()
        .map(Test::Sensitive)
        .map_err(|error: crate::seal::SealError| Fault { code: "bad-digest", message: error.to_string() })
}

/// `present = true`; its negation is the other predicate, so `false` is refused.
fn claim(key: &str, value: &DeValue<'_>, opposite: &str) -> Result<(), Fault> {
    match value.as_bool() {
        Some(true) => Ok(()),
        Some(false) => Err(wrong_type(format!("`{key} = false`: write `{opposite} = true`"))),
        None => Err(wrong_type(format!("`{key}` is `true`, not {}", a(value)))),
    }
}

fn number(key: &str, value: &DeValue<'_>) -> Result<Decimal, Fault> {
    match exact(value)? {
        ExactValue::Number(number) => Ok(number),
        _ => Err(wrong_type(format!("`{key}` is a number, not {}", a(value)))),
    }
}

fn members(key: &str, value: &DeValue<'_>) -> Result<Vec<ExactValue>, Fault> {
    match exact(value)? {
        ExactValue::List(members) => Ok(members),
        _ => Err(wrong_type(format!("`{key}` is a list, not {}; write `{key} = […]`", a(value)))),
    }
}

fn at_least_one(key: &str, value: &DeValue<'_>) -> Result<Vec<ExactValue>, Fault> {
    let members = members(key, value)?;
    if members.is_empty() {
        let message = format!("an empty `{key}` is met by every list or by no value; name at least one member");
        return Err(Fault { code: "contradiction", message });
    }
    Ok(members)
}

fn each_once(key: &str, members: Vec<ExactValue>) -> Result<Vec<ExactValue>, Fault> {
    match members.iter().enumerate().find(|(index, member)| members[..*index].contains(member)) {
        Some((_, twice)) => {
            Err(Fault { code: "contradiction", message: format!("`{twice}` stands twice in `{key}`; name each member once") })
        }
        None => Ok(members),
    }
}

/// A TOML value as Terraform would hold it.
fn exact(value: &DeValue<'_>) -> Result<ExactValue, Fault> {
    let not_a_number = |text: &str| Fault {
        code: "bad-number",
        message: format!("`{text}` is no number that Terraform can hold; write a decimal one"),
    };
    Ok(match value {
        DeValue::String(text) => ExactValue::String(text.to_string()),
        DeValue::Boolean(bool) => ExactValue::Bool(*bool),
        DeValue::Integer(integer) if integer.radix() == 10 => {
            ExactValue::Number(integer.as_str().parse().map_err(|_| not_a_number(integer.as_str()))?)
        }
        DeValue::Integer(integer) => {
            let read = u128::from_str_radix(integer.as_str(), integer.radix());
            let decimal = read.map_err(|_| not_a_number(&integer.to_string()))?.to_string();
            ExactValue::Number(decimal.parse().map_err(|_| not_a_number(&decimal))?)
        }
        DeValue::Float(float) => ExactValue::Number(float.as_str().parse().map_err(|_| not_a_number(float.as_str()))?),
        DeValue::Datetime(date) => {
            return Err(wrong_type(format!("Terraform has no dates; write `\"{date}\"`, as the output holds a string")));
        }
        DeValue::Array(members) => {
            ExactValue::List(members.iter().map(|member| exact(member.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(members) => {
            let member = |(key, value): Entry<'_, '_>| Ok((key.get_ref().to_string(), exact(value.get_ref())?));
            ExactValue::Object(members.iter().map(member).collect::<Result<_, Fault>>()?)
        }
    })
}

/// `an integer`, `a string`: for messages.
fn a(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}
