"""Kinds, scopes and types, from the server's OpenAPI v3."""

import re

PREFIXES = {
    "io.k8s.api.": "",
    "io.k8s.apimachinery.pkg.apis.": "",
    "io.k8s.apimachinery.pkg.": "",
    "io.k8s.apiextensions-apiserver.pkg.apis.": "",
    "io.k8s.kube-aggregator.pkg.apis.": "",
}
# OpenAPI carries no properties for these; structural schemas admit only the form with one schema.
SCHEMA_FORMS = {"apiextensions.v1.JSONSchemaPropsOrArray", "apiextensions.v1.JSONSchemaPropsOrBool"}
# Types that are written as text and have more than one spelling.
SCALARS = {
    "api.resource.Quantity": "quantity", "meta.v1.Time": "time", "meta.v1.MicroTime": "micro-time",
    "meta.v1.Duration": "duration",
}
ANY = "any"


class Schema:
    """`kinds`, `types` as core's shapes, `zeros` (field → its zero value) and `paths` (kind → where it is created)."""

    def __init__(self, server):
        self.schemas, self.paths, self.kinds = {}, {}, {}
        for group_version in server.get("/openapi/v3")["paths"]:
            if re.fullmatch(r"api/v1|apis/[^/]+/v[^/]+", group_version):
                document = server.get(f"/openapi/v3/{group_version}")
                self.schemas.update({short(name): schema for name, schema in document["components"]["schemas"].items()})
                self.read_paths(document["paths"])
        self.types = {}
        for entry in self.kinds.values():
            self.read_type(entry["type"])

    def read_paths(self, paths):
        for path, operations in paths.items():
            post = operations.get("post", {})
            if post.get("x-kubernetes-action") != "post" or operations.get("get", {}).get("x-kubernetes-action") != "list":
                continue
            gvk = post["x-kubernetes-group-version-kind"]
            body = post["requestBody"]["content"]["*/*"]["schema"]
            api_version = "/".join(filter(None, [gvk["group"], gvk["version"]]))
            name = f"{api_version} {gvk['kind']}"
            scope = "namespaced" if "{namespace}" in path else "cluster"
            self.kinds[name] = {"type": short(body["$ref"].rsplit("/", 1)[1]), "scope": scope}
            self.paths[name] = path.replace("{namespace}", "default")

    def read_type(self, name):
        if name in self.types:
            return
        self.types[name] = {}
        for field, schema in sorted(self.schemas[name]["properties"].items()):
            self.types[name][field] = self.shape(schema)

    def shape(self, schema):
        if "allOf" in schema:
            return self.shape(schema["allOf"][0])
        if "$ref" in schema:
            return self.named_shape(short(schema["$ref"].rsplit("/", 1)[1]))
        if schema.get("format") == "int-or-string":
            return "int-or-string"
        if schema.get("type") == "array" and "items" in schema:
            return {"list": {"item": self.shape(schema["items"]), **merge(schema)}}
        if schema.get("type") == "object" and "additionalProperties" in schema:
            return {"map": self.shape(schema["additionalProperties"])}
        return ANY

    def named_shape(self, name):
        if name in SCHEMA_FORMS:
            name = "apiextensions.v1.JSONSchemaProps"
        schema = self.schemas[name]
        if name in SCALARS:
            return SCALARS[name]
        if "properties" in schema:
            self.read_type(name)
            return {"object": name}
        # `type: object` without properties is free JSON (RawExtension, FieldsV1) or an empty struct.
        return self.shape(schema)

    def zero(self, type_name, field):
        """The Go zero value of a field, where dropping it could go unseen; None for lists, maps and unions."""
        shape = self.types[type_name][field]
        if isinstance(shape, dict):
            return {} if "object" in shape else None
        schema = self.schemas[type_name]["properties"][field]
        return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(schema.get("type"))


def merge(schema):
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys is None and "x-kubernetes-patch-merge-key" in schema:
        keys = [schema["x-kubernetes-patch-merge-key"]]
    if keys is not None:
        return {"merge": {"keyed": keys}}
    return {"merge": "set"} if schema.get("x-kubernetes-list-type") == "set" else {}


def short(name):
    for prefix, replacement in PREFIXES.items():
        if name.startswith(prefix):
            return replacement + name[len(prefix):]
    return name
