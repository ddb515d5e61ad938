//! Quantities, durations and times against the API server's own reading of them.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use http::Request;
use serde_json::{Value, json};
use trueup_core::quantity::{Quantity, duration_nanoseconds, time_microseconds};

use super::{World, world};

/// How many quantities are tried.
const QUANTITIES: usize = 10_000;
/// Capacities of a device, and devices of a slice, at most.
const CAPACITIES: usize = 32;
const SLICE: usize = 64 * CAPACITIES;
/// Pairs in one object.
const PAIRS: usize = 200;

/// Numbers as they come out of one seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % below
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    fn digits(&mut self, at_most: usize) -> String {
        let zeros = if self.roll(4) == 0 { self.roll(4) } else { 0 };
        let digits =
            (0..self.roll(at_most + 1)).map(|_| self.pick(&["0", "0", "0", "1", "2", "5", "7", "9"])).collect::<String>();
        digits + &"0".repeat(zeros)
    }

    fn quantity(&mut self) -> String {
        let sign = if self.roll(4) == 0 { self.pick(&["-", "-", "-", "+", "+", "--", "+-", " "]) } else { "" };
        let longest = [3, 3, 6, 20, 30][self.roll(5)];
        let whole = self.digits(longest);
        let fraction = if self.roll(3) == 0 { format!(".{}", self.digits(longest / 2)) } else { String::new() };
        let suffix = match self.roll(8) {
            0 => self.digits_after(&["e", "E", "e-", "E-", "e+", "E+", "ee", "Ee", "e--"]),
            1 => self
                .pick(&[
                    "e", "e+", "E-", "ki", "KI", "Kii", "mi", "i", "x", "%", "Ki5", "m3", "E5E", "e5k", "1_0", " m", "µ", "e3.5",
                    "nn",
                ])
                .to_owned(),
            2 => String::new(),
            _ => self
                .pick(&["n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", " ", "\t"])
                .to_owned(),
        };
        format!("{sign}{whole}{fraction}{suffix}")
    }

    fn digits_after(&mut self, exponents: &[&str]) -> String {
        let limit = [4, 20, 40, 400][self.roll(4)];
        format!("{}{}", self.pick(exponents), self.roll(limit))
    }

    fn duration(&mut self) -> String {
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let part = |dice: &mut Self| {
            let fraction = if dice.roll(3) == 0 { format!(".{}", dice.digits(5)) } else { String::new() };
            format!("{}{fraction}{}", dice.roll(200), dice.pick(&units))
        };
        let sign = if self.roll(5) == 0 { self.pick(&["-", "+"]) } else { "" };
        (0..=self.roll(3)).fold(sign.to_owned(), |text, _| text + &part(self))
    }

    fn time(&mut self) -> String {
        let (hour, minute, second) = (self.roll(3), self.roll(2) * 30, self.roll(2));
        let fraction = if self.roll(3) == 0 { format!(".{}", self.roll(3) * 500) } else { String::new() };
        let offset = self.pick(&["Z", "+01:00", "-01:00", "+00:30", "+00:00"]);
        format!("2026-11-2{}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}", self.roll(2))
    }
}

/// Posts as a dry run; the answer, or the server's words.
async fn dry_run(client: &kube::Client, collection: &str, body: Value) -> Result<Value, String> {
    let request = Request::post(format!("{collection}?dryRun=All"))
        .header("Content-Type", "application/json")
        .body(body.to_string().into_bytes())
        .expect("a request");
    client.request(request).await.map_err(|error| error.to_string())
}

/// A kind whose values are read as quantities and written out again, whatever they are.
fn slice(texts: &[&str]) -> Value {
    let devices = texts.chunks(CAPACITIES).enumerate().map(|(index, texts)| {
        let named = texts.iter().enumerate().map(|(index, text)| (format!("c{index}"), json!({"value": text})));
        json!({"name": format!("d{index}"), "capacity": named.collect::<serde_json::Map<_, _>>()})
    });
    json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"generateName": "trueup-"}, "spec": {
        "driver": "quantities.example.com", "allNodes": true, "devices": devices.collect::<Vec<_>>(),
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}})
}

/// What the server writes for each of these texts; an error if it refuses any.
async fn written(client: &kube::Client, texts: &[&str]) -> Result<Vec<String>, String> {
    let answer = dry_run(client, "/apis/resource.k8s.io/v1/resourceslices", slice(texts)).await?;
    let value = |index: usize| {
        let (device, capacity) = (index / CAPACITIES, format!("c{}", index % CAPACITIES));
        answer["spec"]["devices"][device]["capacity"][capacity]["value"].as_str().expect("a value").to_owned()
    };
    Ok((0..texts.len()).map(value).collect())
}

/// Those that the server refuses, though we read them.
async fn refused(client: &kube::Client, texts: &[&str]) -> Vec<String> {
    let alone = stream::iter(texts).map(|text| async move { written(client, &[text]).await.err().map(|_| (*text).to_owned()) });
    alone.buffered(8).filter_map(std::future::ready).collect().await
}

fn seed() -> u64 {
    let given = std::env::var("TRUEUP_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
    eprintln!("TRUEUP_SEED={seed}");
    seed
}

#[tokio::test]
async fn quantities_are_read_as_the_server_reads_them() {
    let Some(world) = world("quantities").await else { return };
    let client = kube::Client::try_default().await.expect("a client");
    let mut dice = Dice(seed());
    let texts: Vec<String> = (0..QUANTITIES).map(|_| dice.quantity()).collect();
    let (accepted, others): (Vec<&str>, Vec<&str>) =
        texts.iter().map(String::as_str).partition(|text| Quantity::parse(text).is_some());

    let mut forms: BTreeMap<&str, String> = BTreeMap::new();
    for chunk in accepted.chunks(SLICE) {
        match written(&client, chunk).await {
            Ok(written) => forms.extend(chunk.iter().copied().zip(written)),
            Err(error) => panic!("read by us and refused by the server: {:?}: {error}", refused(&client, chunk).await),
        }
    }
    let also_refused = refused(&client, &others).await;
    assert_eq!(also_refused, others, "refused by us and read by the server");
    let parse = |text: &str| Quantity::parse(text).unwrap_or_else(|| panic!("`{text}` is a quantity"));
    let misread: Vec<_> = forms.iter().filter(|(text, form)| parse(text) != parse(form)).collect();
    assert!(misread.is_empty(), "another value than the server's: {misread:?}");
    let mut by_form: BTreeMap<&String, Quantity> = BTreeMap::new();
    for (text, form) in &forms {
        assert_eq!(*by_form.entry(form).or_insert_with(|| parse(text)), parse(text), "`{text}` is written `{form}`");
    }

    // In our order, each beside the next: the closest pairs that there are. `1000E` and more is another value in the server's
    // memory than in its storage.
    let mut ordered: Vec<&str> = forms.keys().copied().filter(|text| !is_beyond_exa(text)).collect();
    ordered.sort_by_key(|text| parse(text));
    let pairs = ordered.windows(2).map(|pair| {
        let order = parse(pair[0]).cmp(&parse(pair[1])) as i32;
        json!({"a": pair[0].trim(), "b": pair[1].trim(), "order": order})
    });
    let pairs: Vec<Value> = pairs.collect();
    let equal = pairs.iter().filter(|pair| pair["order"] == 0).count();
    eprintln!("{} read, {} refused; {} pairs, {equal} of them equal", forms.len(), others.len(), pairs.len());
    assert!(others.len() > 1000 && forms.len() > 4000 && equal > 100, "the dice are loaded");
    let rule = "quantity(self.a).compareTo(quantity(self.b)) == self.order";
    hold(&world, &client, ("Comparison", rule), pairs).await;
}

/// Whether a decimal suffix would have to be larger than `E`, which there is not.
fn is_beyond_exa(text: &str) -> bool {
    let is_suffixed = |suffix: char| text.trim().strip_suffix(suffix).map(str::to_owned);
    let exponents = [('k', 3), ('M', 6), ('G', 9), ('T', 12), ('P', 15), ('E', 18)];
    let number = exponents.into_iter().find_map(|(suffix, exponent)| Some((is_suffixed(suffix)?, exponent)));
    let (number, exponent) = number.unwrap_or_else(|| (text.trim().to_owned(), 0));
    number.chars().all(|c| c.is_ascii_digit() || "+-.".contains(c))
        && Quantity::parse(text) != Quantity::parse(&format!("{number}e{exponent}"))
}

#[tokio::test]
async fn durations_and_times_are_read_as_go_reads_them() {
    let Some(world) = world("durations").await else { return };
    let client = kube::Client::try_default().await.expect("a client");
    let mut dice = Dice(seed());
    let mut durations: Vec<String> = (0..2000).map(|_| dice.duration()).collect();
    durations.extend(["90s", "1m30s", "1.5h", "90m", "5400s", "0", "-0", "+0", "0s", ".5s", "500ms"].map(str::to_owned));
    durations.sort_by_key(|text| duration_nanoseconds(text).unwrap_or_else(|| panic!("`{text}` is a duration")));
    let pairs = durations.windows(2).map(|pair| {
        let is_same = duration_nanoseconds(&pair[0]) == duration_nanoseconds(&pair[1]);
        json!({"a": pair[0], "b": pair[1], "order": i32::from(!is_same)})
    });
    hold(&world, &client, ("Lapse", "(duration(self.a) == duration(self.b)) == (self.order == 0)"), pairs.collect()).await;

    let mut times: Vec<String> = (0..1000).map(|_| dice.time()).collect();
    times.sort_by_key(|text| time_microseconds(text).unwrap_or_else(|| panic!("`{text}` is a time")));
    let pairs = times.windows(2).map(|pair| {
        let is_same = time_microseconds(&pair[0]) == time_microseconds(&pair[1]);
        json!({"a": pair[0], "b": pair[1], "order": i32::from(!is_same)})
    });
    let pairs: Vec<Value> = pairs.collect();
    assert!(pairs.iter().filter(|pair| pair["order"] == 0).count() > 100, "the dice are loaded");
    hold(&world, &client, ("Moment", "(timestamp(self.a) == timestamp(self.b)) == (self.order == 0)"), pairs).await;
}

/// Asks the server whether a rule in its own expression language (CEL) holds for all pairs.
async fn hold(world: &World, client: &kube::Client, (kind, rule): (&str, &str), pairs: Vec<Value>) {
    let (plural, group) = (format!("{}s", kind.to_lowercase()), format!("{}.example.com", world.namespace));
    let text = json!({"type": "string", "maxLength": 120});
    let pair = json!({"type": "object", "required": ["a", "b", "order"],
        "properties": {"a": text, "b": text, "order": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": rule}]});
    let list = json!({"type": "array", "maxItems": PAIRS, "items": pair});
    let name = format!("{plural}.{group}");
    world.kubectl.apply(&[json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name}, "spec": {"group": group, "scope": "Namespaced",
        "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"pairs": list}}}}]}})]);
    world.kubectl.must(&[
        "wait",
        r#"--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True"#,
        &format!("crd/{name}"),
        "--timeout=60s",
    ]);
    let collection = format!("/apis/{group}/v1/namespaces/{}/{plural}", world.namespace);
    let object = |pairs: &[Value]| json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"generateName": "trueup-"}, "pairs": pairs});
    // A definition takes a moment until it is served.
    for _ in 0..100 {
        if dry_run(client, &collection, object(&[])).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut wrong = Vec::new();
    for chunk in pairs.chunks(PAIRS) {
        if let Err(error) = dry_run(client, &collection, object(chunk)).await {
            let named = chunk.iter().enumerate().filter(|(index, _)| error.contains(&format!("pairs[{index}]")));
            wrong.extend(named.map(|(_, pair)| pair.to_string()));
            if wrong.is_empty() {
                wrong.push(error);
            }
        }
    }
    world.kubectl.must(&["delete", "crd", &name, "--wait=false"]);
    assert!(wrong.is_empty(), "{} of {} pairs: {}", wrong.len(), pairs.len(), wrong.join("\n"));
}
