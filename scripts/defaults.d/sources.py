"""Values that the server makes from other values. Everything else that it adds is a literal."""

# What a source gives is compared with what was admitted, and the conditions are found like those of literals.
SOURCES = {
    ("apiextensions.v1.CustomResourceDefinitionNames", "listKind"): [{"suffixed": {"field": "kind", "suffix": "List"}}],
    ("apiextensions.v1.CustomResourceDefinitionNames", "singular"): [{"lowercase": "kind"}],
    ("core.v1.ContainerPort", "hostPort"): [{"copy": "containerPort"}],
    ("core.v1.LimitRangeItem", "default"): [{"fill": ["max"]}],
    ("core.v1.LimitRangeItem", "defaultRequest"): [{"fill": ["default", "min"]}],
    ("core.v1.PodSpec", "serviceAccount"): [{"copy": "serviceAccountName"}],
    ("core.v1.PodSpec", "serviceAccountName"): [{"copy": "serviceAccount"}],
    ("core.v1.PersistentVolumeClaimSpec", "dataSource"): [{"copy": "dataSourceRef"}],
    ("core.v1.PersistentVolumeClaimSpec", "dataSourceRef"): [{"copy": "dataSource"}],
    ("core.v1.ReplicationControllerSpec", "selector"): [{"copy": "template.metadata.labels"}],
    ("core.v1.ResourceRequirements", "requests"): [{"fill": ["limits"]}],
    ("core.v1.ServicePort", "targetPort"): [{"copy": "port"}],
    ("core.v1.ServiceSpec", "clusterIPs"): [{"list": "clusterIP"}],
    ("meta.v1.ObjectMeta", "finalizers"): [
        {"append": f"kubernetes.io/{name}-protection"} for name in ("pv", "pvc", "vac")
    ],
    ("meta.v1.ObjectMeta", "labels"): [
        {"outer": {"type": "batch.v1.Job", "field": "spec.template.metadata.labels"}},
        {"outer": {"type": "core.v1.ReplicationController", "field": "spec.template.metadata.labels"}},
        {"entry": {"key": "kubernetes.io/metadata.name", "field": "name"}},
    ],
}
ADDING = ("append", "entry", "fill")  # sources that add to what is declared


def find(value, path):
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def made(source, sample, declared):
    """What a source gives for a sample, or None."""
    (form, where), own = next(iter(source.items())), sample.admitted
    if form == "copy":
        twin = (sample.type, where) in SOURCES and where not in sample.declared
        return None if twin else find(own, where)
    if form == "list":
        return [own[where]] if where in own else None
    if form == "lowercase":
        return own.get(where, "").lower() or None
    if form == "suffixed":
        return own[where["field"]] + where["suffix"] if where["field"] in own else None
    if form == "outer":
        return next((find(value, where["field"]) for name, value in sample.enclosing if name == where["type"]), None)
    if form == "append":
        return None if where in (declared or []) else [*(declared or []), where]
    if form == "entry":
        new = where["field"] in own and where["key"] not in (declared or {})
        return {**(declared or {}), where["key"]: own[where["field"]]} if new else None
    filled = dict(declared or {})
    for sibling in where:
        filled = {**(own.get(sibling) or {}), **filled}
    return filled if form == "fill" and filled != (declared or {}) else None


def adds(source):
    return any(form in source for form in ADDING)
