//! Reads `OpenMetrics` text strictly (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::collections::BTreeMap;

/// The samples, `name{labels}` to value. Fails where the text is not `OpenMetrics`.
pub(super) fn read(text: &str) -> BTreeMap<String, String> {
    let lines: Vec<&str> = text.strip_suffix("# EOF\n").expect("it ends with # EOF").lines().collect();
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in lines {
        match line.strip_prefix("# ").map(|comment| comment.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            Some(["TYPE", name, kind]) => assert_eq!(families.insert(name, kind), None, "{line}: a family twice"),
            Some(["UNIT", name, unit]) => assert!(name.ends_with(&format!("_{unit}")), "{line}: the name ends with its unit"),
            Some(["HELP", name, _]) => assert!(name.starts_with("trueup_"), "{line}"),
            Some(_) => panic!("{line}: no such comment"),
            None => {
                let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}: no value"));
                let name = sample.split('{').next().unwrap();
                assert!(families.iter().any(|(family, kind)| belongs(name, family, kind)), "{line}: of no family");
                assert!(value.parse::<f64>().is_ok(), "{line}: no number");
                assert_eq!(samples.insert(sample.to_owned(), value.to_owned()), None, "{line}: a sample twice");
            }
        }
    }
    samples
}

fn belongs(name: &str, family: &str, kind: &str) -> bool {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        other => panic!("{family}: {other} is none of ours"),
    };
    name.strip_prefix(family).is_some_and(|suffix| suffixes.contains(&suffix))
}
