"""What the server made of one object: what Git says beside what was admitted, split by named type."""

from dataclasses import dataclass, field

from sources import SOURCES

SERVER_METADATA = {
    "uid", "creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink",
    "deletionTimestamp", "deletionGracePeriodSeconds",
}
# What the server allocates, or takes from the request or the clock, unless the field named here is declared and not false.
ALLOCATED = {
    "batch.v1.JobSpec": {"selector": "manualSelector"},
    "certificates.v1.CertificateSigningRequestSpec": {key: key for key in ("extra", "groups", "uid", "username")},
    "core.v1.NodeSpec": {"podCIDR": "podCIDR", "podCIDRs": "podCIDRs", "taints": "-"},
    "core.v1.ServicePort": {"nodePort": "nodePort"},
    "core.v1.ServiceSpec": {"clusterIP": "clusterIP", "clusterIPs": "clusterIP", "healthCheckNodePort": "healthCheckNodePort"},
    "resource.v1.DeviceTaint": {"timeAdded": "timeAdded"},
}
# Keys that the server generates in labels and annotations of these kinds.
GENERATED = {
    "apps.v1.DaemonSet": ("annotations", {"deprecated.daemonset.template.generation"}),
    "batch.v1.Job": ("labels", {
        "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name",
    }),
}
# A Pod's own requests are summed up over its containers: no rule of one object's fields.
SUMMED = {("core.v1.ResourceRequirements", "requests", "core.v1.PodSpec.resources")}
# Admission plugins write these into every Pod, under random names or merged with what is declared.
TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_VOLUME = "kube-api-access-"
EVICTIONS = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}


@dataclass
class Sample:
    """One object of a named type: its declared fields beside the admitted ones, and where it hangs."""

    type: str
    declared: dict
    admitted: dict
    probe: str
    root: str
    holder: str = ""
    """`TYPE.FIELD` of the object that holds this one."""
    enclosing: list = field(default_factory=list)
    """Type and declared fields of every object around it, outermost first."""


@dataclass
class Answer:
    """A probe or a variant of one, and the server's answer."""

    kind: str
    probe: str
    declared: dict
    admitted: dict


def cleaned(answer):
    """The admitted object without status and the server's own metadata, a Pod also without what admission adds."""
    admitted = {key: value for key, value in answer.admitted.items() if key != "status"}
    declared = {key: value for key, value in answer.declared.items() if key != "status"}
    admitted["metadata"] = without(admitted["metadata"], SERVER_METADATA)
    declared["metadata"] = without(declared["metadata"], SERVER_METADATA)
    if answer.kind == "v1 Pod":
        admitted["spec"] = without_additions(admitted["spec"], declared.get("spec") or {})
    return declared, admitted


def without(value, keys):
    return {key: inner for key, inner in value.items() if key not in keys}


def without_additions(spec, declared):
    spec = dict(spec)
    spec["volumes"] = [v for v in spec.get("volumes", []) if not v["name"].startswith(TOKEN_VOLUME)]
    tolerations = spec.get("tolerations", [])
    spec["tolerations"] = tolerations[: len(declared.get("tolerations") or [])]
    assert all(t["key"] in EVICTIONS for t in tolerations[len(spec["tolerations"]):])
    for containers in ("containers", "initContainers"):
        if containers in spec:
            spec[containers] = [without_token(container) for container in spec[containers]]
    return spec


def without_token(container):
    mounts = [m for m in container.get("volumeMounts", []) if m["mountPath"] != TOKEN_MOUNT]
    return {**container, "volumeMounts": mounts}


def is_absent(shape, value):
    """Whether the server keeps no difference between this value and none: core's `Shape::is_absent`."""
    if value is None:
        return True
    return isinstance(shape, dict) and ("list" in shape and value == [] or "map" in shape and value == {})


def without_generated(name, sample_root, declared, admitted):
    """Without what the server allocates or generates, as far as it is not declared."""
    allocated = {key for key, unless in ALLOCATED.get(name, {}).items() if not declared.get(unless)}
    admitted = without(admitted, allocated - set(declared))
    if name == "meta.v1.ObjectMeta" and sample_root in GENERATED:
        key, generated = GENERATED[sample_root]
        kept = without(admitted.get(key) or {}, generated - set(declared.get(key) or {}))
        admitted = {**without(admitted, {key}), **({key: kept} if kept else {})}
    return admitted


class Collector:
    """Walks answers; `samples` by type; `dropped` and `changed`: (type, field) → (declared, admitted, sample)."""

    def __init__(self, schema, zeros):
        self.schema, self.zeros = schema, zeros
        self.samples, self.dropped, self.changed = {}, {}, {}

    def read(self, answer):
        declared, admitted = cleaned(answer)
        root = self.schema.kinds[answer.kind]["type"]
        self.walk({"object": root}, declared, admitted, Sample(root, declared, admitted, answer.probe, root))

    def walk(self, shape, declared, admitted, at):
        if isinstance(shape, str):
            return
        if "object" in shape and isinstance(admitted, dict):
            self.walk_object(shape["object"], declared, admitted, at)
        elif "map" in shape and isinstance(admitted, dict):
            for key, inner in admitted.items():
                self.walk(shape["map"], (declared or {}).get(key), inner, at)
        elif "list" in shape and isinstance(admitted, list) and len(declared or []) == len(admitted):
            for one, other in zip(declared or [], admitted):
                self.walk(shape["list"]["item"], one, other, at)

    def walk_object(self, name, declared, admitted, at):
        fields = self.schema.types[name]
        declared = self.said(name, declared)
        admitted = without_generated(name, at.root, declared, admitted)
        admitted = {key: value for key, value in admitted.items() if not is_absent(fields.get(key, "any"), value)}
        self.samples.setdefault(name, []).append(Sample(name, declared, admitted, at.probe, at.root, at.holder, at.enclosing))
        self.compare(name, declared, admitted, at)
        for key, value in admitted.items():
            if key not in declared and (name, key) in SOURCES:
                continue
            enclosing = [*at.enclosing, (name, declared)]
            inner = Sample(name, declared, admitted, at.probe, at.root, f"{name}.{key}", enclosing)
            self.walk(fields.get(key, "any"), declared.get(key), value, inner)

    def said(self, name, declared):
        """What is declared in the server's eyes: no unknown field, no null, no zero that means absent, no empty list."""
        fields, zeros = self.schema.types[name], self.zeros.get(name, {})
        return {
            key: value for key, value in (declared if isinstance(declared, dict) else {}).items()
            if key in fields and not is_absent(fields[key], value) and not (key in zeros and value == zeros[key])
        }

    def compare(self, name, declared, admitted, at):
        for key, value in declared.items():
            if key not in admitted:
                self.dropped.setdefault((name, key), []).append((value, None, at))
            elif not isinstance(value, (dict, list)) and admitted[key] != value:
                self.changed.setdefault((name, key), []).append((value, admitted[key], at))


def learn_zeros(schema, collector):
    """Type → field → zero value, of the fields where the server keeps no difference between zero and absent."""
    zeros = {}
    for (name, key), seen in [*collector.dropped.items(), *collector.changed.items()]:
        zero = schema.zero(name, key)
        if zero is not None and any(value == zero and type(value) is type(zero) for value, _, _ in seen):
            zeros.setdefault(name, {})[key] = zero
    return zeros
