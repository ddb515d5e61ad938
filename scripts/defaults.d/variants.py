"""Variants of a probe that differ from it in one field: taken away, emptied, set to its zero value."""

import copy

IDENTITY = {"apiVersion", "kind", "metadata"}
SKIPPED = {
    ("batch.v1.JobSpec", "selector"),  # `{}` is filled with the Job's random id
    ("meta.v1.ObjectMeta", "generateName"),
    ("meta.v1.ObjectMeta", "name"),
    ("meta.v1.ObjectMeta", "namespace"),
    ("core.v1.TypedObjectReference", "namespace"),  # taken as it is, but not copied to `dataSource`
    ("core.v1.TypedObjectReference", "apiGroup"),
}


def variants(schema, root_type, value):
    """Pairs of (type, field, what was done) and the changed object; a field that is absent is set to its zero value."""
    for steps, type_name, declared in occurrences(schema, {"object": root_type}, value, ()):
        for field in schema.types[type_name]:
            if not steps and field in IDENTITY or (type_name, field) in SKIPPED:
                continue
            if field in declared:
                yield (type_name, field, "without"), changed(value, steps, lambda at: at.pop(field))
            zero = empty(schema, type_name, field)
            if zero is not None and declared.get(field) != zero:
                yield (type_name, field, "zero"), changed(value, steps, lambda at: at.update({field: copy.deepcopy(zero)}))


def empty(schema, type_name, field):
    shape = schema.types[type_name][field]
    if isinstance(shape, dict):
        return [] if "list" in shape else {}
    return schema.zero(type_name, field)


def occurrences(schema, shape, value, steps):
    """Every object of a named type inside `value`, with the way to it."""
    if isinstance(shape, str) or value is None:
        return
    if "object" in shape and isinstance(value, dict):
        yield steps, shape["object"], value
        for field, inner in value.items():
            yield from occurrences(schema, schema.types[shape["object"]].get(field, "any"), inner, (*steps, field))
    elif "map" in shape and isinstance(value, dict):
        for key, inner in value.items():
            yield from occurrences(schema, shape["map"], inner, (*steps, key))
    elif "list" in shape and isinstance(value, list):
        for index, inner in enumerate(value):
            yield from occurrences(schema, shape["list"]["item"], inner, (*steps, index))


def changed(value, steps, change):
    value = copy.deepcopy(value)
    at = value
    for step in steps:
        at = at[step]
    change(at)
    return value
