//! Values that are somebody else's by right: allocated by the server, or written by a controller that is known to.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;
use trueup_core::facts::{Allowance, Desired, Extent, Live, Rule, Tracking};
use trueup_core::known_writer::{KnownWriter, KnownWriterError, KnownWriterText, ValueForm, is_protected};
use trueup_core::object::ObjectId;
use trueup_core::path::{Path, PathError, Segment};
use trueup_core::pattern::NamePattern;
use trueup_core::shape::{Shape, Types};

use crate::pattern::places;

const ALLOCATED: &str = include_str!("../data/allocated.toml");
const KNOWN_WRITERS: &str = include_str!("../data/known-writers.toml");

/// The rules, as `data/allocated.toml` and `data/known-writers.toml` have them.
#[derive(Debug, Clone)]
pub struct Rules {
    allocated: Vec<Allocated>,
    writers: Vec<KnownWriter>,
}

/// Why a rule file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is not the TOML that is expected.
    #[error("`{file}` cannot be read: {source}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A path in it is none.
    #[error("in `{file}`: {source}")]
    Path {
        /// Which file.
        file: &'static str,
        /// Which path, and why.
        source: PathError,
    },
    /// A rule leaves open what it means, or would excuse what is never excused.
    #[error("in `{file}`: {source}")]
    Refused {
        /// Which file.
        file: &'static str,
        /// What, and why.
        source: KnownWriterError,
    },
}

#[derive(Debug, Clone)]
struct Allocated {
    kind: KindName,
    paths: Vec<Path>,
    entries: Option<Entries>,
    when_declared: Option<Path>,
    extent: Reaches,
    by: By,
    reason: String,
}

/// Who puts an allocated value there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    /// Anybody may: a program that is not known, or the server in the name of whoever asks.
    #[default]
    Anybody,
    /// The API server itself, after it has noted who owns what: a value that somebody owns is that one's, not allocated.
    Server,
    /// One of these wrote it last; or nobody can tell, as managers were not saved.
    #[serde(untagged)]
    Managers(Vec<String>),
}

/// Whether what Git declares gives way, too.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reaches {
    #[default]
    Undeclared,
    Declared,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KindName {
    group: String,
    kind: String,
}

/// Which entries of a list may be there beside those that Git declares.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    field: Option<String>,
    one_of: Vec<Entry>,
}

/// One of these entries.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Entry {
    /// The entry itself, or its field, has such a name.
    Named(String),
    /// Exactly this.
    Whole(Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllocatedFile {
    allocated: Vec<AllocatedText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllocatedText {
    #[serde(default)]
    group: String,
    kind: String,
    paths: Vec<String>,
    entries: Option<Entries>,
    when_declared: Option<String>,
    #[serde(default)]
    extent: Reaches,
    #[serde(default)]
    by: By,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WritersFile {
    #[serde(rename = "known-writer")]
    known_writer: Vec<KnownWriterText>,
}

impl Rules {
    /// The rules that are part of the program.
    #[must_use]
    pub fn load() -> &'static Self {
        static RULES: LazyLock<Rules> =
            LazyLock::new(|| Rules::parse(ALLOCATED, KNOWN_WRITERS).expect("the shipped rules are read by a test"));
        &RULES
    }

    /// Reads rules; those that would excuse what is never excused are an error.
    ///
    /// # Errors
    /// If the text is not what is expected, or a rule goes too far.
    pub fn parse(allocated: &str, writers: &str) -> Result<Self, RulesError> {
        let file = "allocated.toml";
        let read: AllocatedFile = toml::from_str(allocated).map_err(|source| RulesError::Unreadable { file, source })?;
        let allocated = read.allocated.into_iter().map(|rule| rule.checked(file)).collect::<Result<_, _>>()?;
        let file = "known-writers.toml";
        let read: WritersFile = toml::from_str(writers).map_err(|source| RulesError::Unreadable { file, source })?;
        let writers = read.known_writer.into_iter().map(KnownWriter::try_from).collect::<Result<_, _>>();
        Ok(Self { allocated, writers: writers.map_err(|source| RulesError::Refused { file, source })? })
    }

    /// These rules and a policy's own known writers.
    #[must_use]
    pub fn with(&self, writers: &[KnownWriter]) -> Self {
        let writers = self.writers.iter().chain(writers).cloned().collect();
        Self { allocated: self.allocated.clone(), writers }
    }
}

impl AllocatedText {
    fn checked(self, file: &'static str) -> Result<Allocated, RulesError> {
        let kind = KindName { group: self.group, kind: self.kind };
        let paths: Vec<Path> = self.paths.iter().map(|text| path(file, text)).collect::<Result<_, _>>()?;
        let when_declared = self.when_declared.map(|text| path(file, &text)).transpose()?;
        // Two things that admission and a controller make of Git's own words, each by a mark of its own.
        let by_right = |path: &Path| is_token_mount(path) || (kind.kind == "ClusterRole" && when_declared.is_some());
        if let Some(path) = paths.iter().find(|path| is_protected(&kind.group, &kind.kind, path) && !by_right(path)) {
            let source = KnownWriterError::Protected { kind: kind.kind, path: path.to_string() };
            return Err(RulesError::Refused { file, source });
        }
        Ok(Allocated { kind, paths, entries: self.entries, when_declared, extent: self.extent, by: self.by, reason: self.reason })
    }
}

fn path(file: &'static str, text: &str) -> Result<Path, RulesError> {
    text.parse().map_err(|source| RulesError::Path { file, source })
}

fn is_token_mount(path: &Path) -> bool {
    const MOUNT: &str = "volumeMounts[mountPath=/var/run/secrets/kubernetes.io/serviceaccount]";
    path.to_string().ends_with(MOUNT)
}

/// What of a live object may differ by right.
#[must_use]
pub fn allowances(rules: &Rules, desired: &Desired, live: &Live, types: &Types, shape: &Shape) -> Vec<Allowance> {
    let allocated = rules.allocated.iter().filter(|rule| rule.kind.names(&live.id));
    let allocated = allocated.flat_map(|rule| allocated_here(rule, desired, live, types, shape));
    let writers = rules.writers.iter().filter(|rule| rule.group == live.id.group() && rule.kind == live.id.kind);
    let writers = writers.flat_map(|rule| written_here(rule, live, types, shape));
    allocated.chain(writers).collect()
}

impl Rules {
    /// Takes out of the server's answer to a dry run what it allocates and Git does not declare: for the object itself it
    /// allocated something else, and by the next dry run it would be another value again.
    pub(crate) fn forget_allocated(&self, answer: &mut Value, desired: &Desired, types: &Types, shape: &Shape) {
        let is_value = |rule: &&Allocated| rule.by == By::Server && rule.entries.is_none();
        let by_server = self.allocated.iter().filter(is_value).filter(|rule| rule.kind.names(&desired.id));
        let patterns: Vec<&Path> = by_server.flat_map(|rule| &rule.paths).collect();
        let paths: Vec<Path> = patterns.into_iter().flat_map(|pattern| places(pattern, answer, types, shape)).collect();
        for path in paths.iter().filter(|path| path.find(&desired.value).is_none_or(Value::is_null)) {
            let (Some(around), Some(Segment::Key(key))) = (path.parent(), path.0.last()) else { continue };
            let around = around.pointer_in(answer).and_then(|pointer| answer.pointer_mut(&pointer));
            if let Some(fields) = around.and_then(Value::as_object_mut) {
                fields.remove(key);
            }
        }
    }
}

impl KindName {
    fn names(&self, id: &ObjectId) -> bool {
        self.group == id.group() && self.kind == id.kind
    }
}

fn allocated_here(rule: &Allocated, desired: &Desired, live: &Live, types: &Types, shape: &Shape) -> Vec<Allowance> {
    let declared = |path: &Path| path.find(&desired.value).filter(|value| !value.is_null());
    if rule.when_declared.as_ref().is_some_and(|path| declared(path).is_none()) {
        return Vec::new();
    }
    let places = rule.paths.iter().flat_map(|pattern| places(&named(pattern, &live.id), &live.value, types, shape));
    let places = places.filter(|path| rule.by.wrote(live, path));
    let allowance = |path: Path| {
        let extent = match &rule.entries {
            None => match rule.extent {
                Reaches::Undeclared => Extent::Undeclared,
                Reaches::Declared => Extent::Declared,
            },
            Some(entries) if entries.explain(declared(&path), path.find(&live.value), &live.id) => Extent::Declared,
            Some(_) => return None,
        };
        Some(Allowance { path, extent, rule: Rule::Allocated, reason: rule.reason.clone() })
    };
    places.filter_map(allowance).collect()
}

impl By {
    /// Whether a live value is theirs, as far as the server has noted who wrote it.
    fn wrote(&self, live: &Live, path: &Path) -> bool {
        match (self, live.writer_of(path)) {
            (Self::Anybody, _) | (Self::Server, None) => true,
            // The first server-side apply of an object without managed fields gives everything in it to this name.
            (Self::Server, Some(writer)) => writer.manager == "before-first-apply",
            (Self::Managers(managers), Some(writer)) => managers.contains(&writer.manager),
            (Self::Managers(_), None) => live.tracking == Tracking::NotShown,
        }
    }
}

/// A pattern with the object's own name for `{name}`.
fn named(pattern: &Path, id: &ObjectId) -> Path {
    let with_name = |segment: &Segment| match segment {
        Segment::Entry(keys) => {
            Segment::Entry(keys.iter().map(|(key, text)| (key.clone(), text.replace("{name}", &id.name))).collect())
        }
        Segment::Key(_) | Segment::Index(_) => segment.clone(),
    };
    Path(pattern.0.iter().map(with_name).collect())
}

impl Entries {
    /// Whether the live list is the declared one and nothing beside it but these entries: each at most once, and those of a
    /// list of objects in this order.
    fn explain(&self, declared: Option<&Value>, live: Option<&Value>, id: &ObjectId) -> bool {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut declared, live) = (list(declared), list(live));
        let mut added = Vec::new();
        for entry in &live {
            match (declared.iter().position(|one| one == entry), self.allows(entry, id)) {
                (Some(at), _) => drop(declared.remove(at)),
                (None, Some(rank)) => added.push(rank),
                (None, None) => return false,
            }
        }
        if live.iter().all(Value::is_string) {
            added.sort_unstable();
        }
        declared.is_empty() && added.is_sorted_by(|a, b| a < b)
    }

    /// Which of the allowed entries this is.
    fn allows(&self, entry: &Value, id: &ObjectId) -> Option<usize> {
        let named = self.field.as_ref().map_or(Some(entry), |field| entry.get(field)).and_then(Value::as_str);
        self.one_of.iter().position(|one| match one {
            Entry::Named(pattern) => {
                named.is_some_and(|text| NamePattern::new(&pattern.replace("{name}", &id.name)).matches(text))
            }
            Entry::Whole(value) => value == entry,
        })
    }
}

fn written_here(rule: &KnownWriter, live: &Live, types: &Types, shape: &Shape) -> Vec<Allowance> {
    let is_theirs = |path: &Path| {
        let writer = live.writer_of(path);
        writer.is_some_and(|writer| rule.managers.contains(&writer.manager) && writer.subresource == rule.subresource)
            && path.find(&live.value).is_some_and(|value| has_form(value, rule.value))
    };
    let places = places(&rule.path, &live.value, types, shape).into_iter().filter(is_theirs);
    let allowance = |path: Path| {
        let manager = live.writer_of(&path)?.manager.clone();
        let by = Rule::KnownWriter { manager, subresource: rule.subresource.clone() };
        Some(Allowance { path, extent: Extent::Undeclared, rule: by, reason: rule.reason.clone() })
    };
    places.filter_map(allowance).collect()
}

fn has_form(value: &Value, form: ValueForm) -> bool {
    let text = || value.as_str().unwrap_or_default();
    match form {
        ValueForm::Any => true,
        ValueForm::Number => value.is_i64() || text().parse::<i64>().is_ok(),
        ValueForm::Time => text().parse::<jiff::Timestamp>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal;
    use serde_json::json;
    use trueup_core::facts::Origin;
    use trueup_core::positions::Positions;

    fn pair(api_version: &str, kind: &str, declared: Value, live: Value) -> (Desired, Live) {
        let id = ObjectId { api_version: api_version.into(), kind: kind.into(), namespace: Some("n".into()), name: "a".into() };
        let origin = Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 };
        (Desired { id: id.clone(), value: declared, origin, positions: Positions::default() }, normal::live(id, live))
    }

    fn allowed(api_version: &str, kind: &str, declared: Value, live: Value) -> Vec<(String, Extent)> {
        let (desired, live) = pair(api_version, kind, declared, live);
        let found = allowances(Rules::load(), &desired, &live, &Types::default(), &Shape::Any);
        found.into_iter().map(|allowance| (allowance.path.to_string(), allowance.extent)).collect()
    }

    #[test]
    fn allocated_values_are_allowed_where_git_is_silent() {
        let live = json!({"spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort"}});
        let found = allowed("v1", "Service", json!({}), live);
        let undeclared = |text: &str| (text.to_owned(), Extent::Undeclared);
        assert_eq!(found, [undeclared("spec.clusterIP"), undeclared("spec.ports[0].nodePort")]);
    }

    #[test]
    fn an_allocated_value_that_somebody_owns_is_theirs() {
        let owned = |manager: &str| {
            let fields = json!({"f:spec": {"f:clusterIP": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}});
            let live = json!({"spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]},
                "metadata": {"managedFields": [{"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}]}});
            allowed("v1", "Service", json!({}), live).into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        assert_eq!(owned("kubectl-patch"), ["spec.ports[0].nodePort"]);
        assert_eq!(owned("before-first-apply"), ["spec.clusterIP", "spec.ports[0].nodePort"]);
    }

    #[test]
    fn admission_adds_each_toleration_once_as_it_is_and_in_its_order() {
        let toleration = |key: &str| match key {
            "memory-pressure" => {
                json!({"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"})
            }
            key => json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300}),
        };
        let found = |tolerations: Vec<Value>| {
            let owned = json!([{"manager": "kubectl-patch", "operation": "Update", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:tolerations": {}}}}]);
            let live = |fields: &Value| json!({"spec": {"tolerations": tolerations}, "metadata": {"managedFields": fields}});
            let count = |fields: &Value| allowed("v1", "Pod", json!({}), live(fields)).len();
            (count(&owned) > 0, count(&json!([])) > 0)
        };
        let of = |keys: &[&str]| keys.iter().map(|key| toleration(key)).collect::<Vec<_>>();
        assert_eq!(found(of(&["not-ready", "unreachable", "memory-pressure"])), (true, true));
        assert_eq!(found(of(&["not-ready", "unreachable", "unreachable"])), (false, false));
        assert_eq!(found(of(&["unreachable", "not-ready"])), (false, false));
        let mut longer = of(&["not-ready", "unreachable"]);
        longer[0]["tolerationSeconds"] = 301.into();
        assert_eq!(found(longer), (false, true), "nobody wrote it: the server is set up so");
    }

    #[test]
    fn only_named_entries_may_join_a_list() {
        let claim = |declared: Value, live: Value| {
            let object = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
            allowed("v1", "PersistentVolumeClaim", object(declared), object(live))
        };
        let all = vec![("metadata.finalizers".to_owned(), Extent::Declared)];
        assert_eq!(claim(Value::Null, json!(["kubernetes.io/pvc-protection"])), all);
        assert_eq!(claim(json!(["mine/x"]), json!(["mine/x", "kubernetes.io/pvc-protection"])), all);
        assert_eq!(claim(json!(["mine/x"]), json!(["kubernetes.io/pvc-protection"])), []);
        assert_eq!(claim(Value::Null, json!(["kubernetes.io/pvc-protection", "else/y"])), []);
        let account = |names: &[&str]| {
            let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            allowed("v1", "ServiceAccount", json!({}), json!({"secrets": secrets})).len()
        };
        assert_eq!((account(&["a-token-x7k2p"]), account(&["b-token-x7k2p"]), account(&["a-token-x7k2p", "stolen"])), (1, 0, 1));
    }

    #[test]
    fn aggregated_rules_need_the_declared_aggregation() {
        let found =
            |declared: Value| allowed("rbac.authorization.k8s.io/v1", "ClusterRole", declared, json!({"rules": [{}]})).len();
        assert_eq!(found(json!({"aggregationRule": {"clusterRoleSelectors": []}})), 1);
        assert_eq!(found(json!({})), 0);
    }

    #[test]
    fn a_known_writer_is_known_by_manager_subresource_and_path() {
        let found = |manager: &str, subresource: &str, annotation: &str| {
            let fields = json!({"f:metadata": {"f:annotations": {format!("f:{annotation}"): {}}}});
            let live = json!({"metadata": {"annotations": {annotation: "1"}, "managedFields": [{"manager": manager,
                "operation": "Update", "subresource": subresource, "fieldsType": "FieldsV1", "fieldsV1": fields}]}});
            allowed("apps/v1", "Deployment", json!({}), live).len()
        };
        assert_eq!(found("kube-controller-manager", "status", "deployment.kubernetes.io/revision"), 1);
        assert_eq!(found("kubectl-edit", "status", "deployment.kubernetes.io/revision"), 0);
        assert_eq!(found("kube-controller-manager", "", "deployment.kubernetes.io/revision"), 0);
        assert_eq!(found("kube-controller-manager", "status", "else"), 0);
    }

    #[test]
    fn a_known_value_has_its_form() {
        let found = |revision: &str| {
            let fields = json!({"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}});
            let live = json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": revision}, "managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsType": "FieldsV1",
                    "fieldsV1": fields}]}});
            allowed("apps/v1", "Deployment", json!({}), live).len()
        };
        assert_eq!((found("12"), found("twelve"), found("")), (1, 0, 0));
    }

    #[test]
    fn a_policys_own_writers_join() {
        let text =
            "manager = ['ours', 'ours-too']\nkind = 'ConfigMap'\npath = 'data.stamp'\nvalue = 'time'\nreason = 'it stamps'\n";
        let writer = KnownWriter::try_from(toml::from_str::<KnownWriterText>(text).expect("its form")).expect("a known writer");
        let rules = Rules::load().with(&[writer]);
        let found = |manager: &str, stamp: &str| {
            let live = json!({"data": {"stamp": stamp}, "metadata": {"managedFields": [{"manager": manager, "operation": "Update",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:stamp": {}}}}]}});
            let (desired, live) = pair("v1", "ConfigMap", json!({}), live);
            allowances(&rules, &desired, &live, &Types::default(), &Shape::Any).len()
        };
        let time = "2026-11-21T02:31:40Z";
        assert_eq!((found("ours", time), found("ours-too", time), found("else", time), found("ours", "x")), (1, 1, 0, 0));
    }

    #[test]
    fn what_decides_what_runs_is_never_allocated() {
        let allocated = "[[allocated]]\nkind = \"Pod\"\npaths = [\"spec.containers[name=*].image\"]\nreason = \"r\"\n";
        assert!(matches!(Rules::parse(allocated, "known-writer = []"), Err(RulesError::Refused { .. })));
        let unknown = "[[known-writer]]\nmanager = \"m\"\nkind = \"Pod\"\npath = 'a.b'\nreason = \"r\"\noperation = \"Update\"\n";
        assert!(matches!(Rules::parse("allocated = []", unknown), Err(RulesError::Unreadable { .. })));
    }
}
