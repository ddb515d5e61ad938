"""The search for the smallest rules that explain every sample."""

import json
import re
from itertools import combinations

import samples
from sources import SOURCES, adds, made

IMAGES = ("image", "reference")
# Fields whose values tell forms of an object apart.
DISCRIMINATORS = (
    "type", "kind", "allocationMode", "clusterIP", "externalTrafficPolicy", "ipFamilyPolicy", "priorityClassName",
    "sessionAffinity",
)
# Fields whose presence does.
OPTIONS = (
    "backoffLimitPerIndex", "completions", "egress", "externalIPs", "parallelism", "podFailurePolicy", "priorityClassName",
    "selector", "type",
)
# Fields whose value stands in an object that another field names: one name tells nothing about the next.
NAMED = {("core.v1.PodSpec", "preemptionPolicy"): "priorityClassName", ("core.v1.PodSpec", "priority"): "priorityClassName"}
# Fields of an enclosing object that reach down to another.
FAR = (("core.v1.PodSpec", "hostNetwork", True), ("apps.v1.DaemonSetUpdateStrategy", "type", "OnDelete"))


class Unexplained(Exception):
    """No rule of the known forms tells samples apart."""


def gives(source, sample, field):
    """Whether a rule with this source could act on a sample at all."""
    if field in sample.declared and not adds(source):
        return False
    return "value" in source or made(source, sample, sample.declared.get(field)) is not None


NOTHING, UNTOLD = "nothing", "untold"


def outcome(shape, field, sample, sources):
    """The source that gives what was admitted, as JSON text; NOTHING where nothing was added; UNTOLD where the sample
    tells nothing about this field."""
    declared, admitted = sample.declared.get(field), sample.admitted.get(field)
    if (sample.type, field, sample.holder) in samples.SUMMED:
        return NOTHING
    if declared is not None:
        sources = [source for source in sources if adds(source)]
    given = [(source, made(source, sample, declared)) for source in sources]
    for source, value in given:
        if value is not None and same(value, admitted):
            return json.dumps(source, sort_keys=True)
    if declared is not None:
        return NOTHING if same(declared, admitted) and any(value is not None for _, value in given) else UNTOLD
    if admitted is None:
        return NOTHING
    if isinstance(shape, dict) and "object" in shape:
        return json.dumps({"value": {}})
    return json.dumps({"value": admitted}, sort_keys=True)


def same(one, other):
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DOMAIN = r"(?:localhost|[^/]*[.:A-Z][^/]*)"
IMAGE = re.compile(rf"(?:{DOMAIN}/)?{COMPONENT}(?:/{COMPONENT})*(?::(?P<tag>[^/@]*))?(?P<digest>@.*)?")


def is_latest(image):
    """Whether the tag is `latest`, as written or as meant by neither tag nor digest."""
    name = IMAGE.fullmatch(image)
    return bool(name) and (name["tag"] == "latest" or name["tag"] is None and not name["digest"])


# ---- conditions ----------------------------------------------------------------

def holds(condition, sample):
    (form, what), own = next(iter(condition.items())), sample.admitted
    if form == "absent":
        return all(field not in own for field in what)
    if form == "present":
        return all(field in own for field in what)
    if form == "undeclared":
        return all(field not in sample.declared for field in what)
    if form == "is":
        return own.get(what["field"]) in what["values"]
    if form == "under":
        return sample.holder in what
    if form == "root":
        return sample.root in what
    if form == "outer":
        return any(name == what["type"] and value.get(what["field"]) in what["values"] for name, value in sample.enclosing)
    return what in own and is_latest(own[what])


def candidates(positives, negatives, siblings):
    """Conditions that hold for all positives, the most telling first."""
    found = [
        {"is": {"field": sibling, "values": sorted({str(sample.admitted.get(sibling)) for sample in positives})}}
        for sibling in DISCRIMINATORS if sibling in siblings
    ]
    found += [{"latest-image": sibling} for sibling in siblings if sibling in IMAGES]
    found.append({"root": sorted({sample.root for sample in positives})})
    found.append({"under": sorted({sample.holder for sample in positives})})
    options = [sibling for sibling in siblings if sibling in OPTIONS]
    found += [{form: [option]} for option in options for form in ("absent", "present", "undeclared")]
    found += [{"outer": {"type": name, "field": field, "values": [value]}} for name, field, value in FAR]
    alone = [sibling for sibling in siblings if any(sibling in sample.admitted for sample in negatives)]
    found.append({"absent": [sibling for sibling in alone if all(sibling not in sample.admitted for sample in positives)]})
    return [condition for condition in found if all(holds(condition, sample) for sample in positives)]


def conditions(positives, negatives, siblings):
    """The smallest list of conditions that holds for all positives and for no negative; None where there is none."""
    found = candidates(positives, negatives, siblings)
    for size in range(4):
        for chosen in combinations(found, size):
            if not any(all(holds(condition, sample) for condition in chosen) for sample in negatives):
                return list(chosen)
    return None


def alternatives(positives, negatives, siblings, field):
    """Lists of conditions of which one holds for every positive and none for any negative."""
    name = NAMED.get((positives[0].type, field))
    if name:
        found = [by_name(name, text, part, negatives, siblings) for text, part in parts(positives, name)]
        return None if None in found else found
    whole = conditions(positives, negatives, siblings)
    if whole is not None:
        return [whole]
    for sibling in [sibling for sibling in DISCRIMINATORS if sibling in siblings]:
        found = [conditions(part, negatives, siblings) for _, part in parts(positives, sibling)]
        if len(found) > 1 and None not in found:
            return found
    return None


def parts(positives, sibling):
    found = {}
    for sample in positives:
        found.setdefault(sample.admitted.get(sibling, ""), []).append(sample)
    return sorted(found.items())


def by_name(name, text, positives, negatives, siblings):
    named = {"is": {"field": name, "values": [text]}} if text else {"absent": [name]}
    others = [sample for sample in negatives if holds(named, sample)]
    found = conditions(positives, others, [sibling for sibling in siblings if sibling != name])
    return None if found is None else [named, *found]


# ---- rules ---------------------------------------------------------------------

def learn(schema, name, field, seen):
    """The rules of one field, in order: the first whose conditions hold gives the value."""
    shape, groups = schema.types[name][field], {}
    for sample in seen:
        groups.setdefault(outcome(shape, field, sample, SOURCES.get((name, field), [])), []).append(sample)
    groups.pop(UNTOLD, None)
    nothing = groups.pop(NOTHING, [])
    siblings = sorted({key for sample in seen for key in (*sample.admitted, *sample.declared)} - {field})
    # Sources before literals, which may agree with them by chance; the most frequent literal last, as what else holds.
    pending = sorted(groups.items(), key=lambda group: ('{"value"' in group[0], len(group[1]), group[0]))
    rules = []
    while pending:
        source, lists = next_told(pending, nothing, siblings, field)
        rules += [{"field": field, "from": json.loads(source), **({"when": when} if when else {})} for when in lists]
        pending = [group for group in pending if group[0] != source]
    return rules


def next_told(pending, nothing, siblings, field):
    """The first source that can be told from all others that are left, and its alternative lists of conditions."""
    for source, positives in pending:
        others = nothing + [sample for other, group in pending if other != source for sample in group]
        negatives = [sample for sample in others if gives(json.loads(source), sample, field)]
        found = alternatives(positives, negatives, siblings, field)
        if found is not None:
            return source, found
    source, positives = pending[0]
    raise Unexplained(
        f"nothing known tells when `{positives[0].type}.{field}` becomes {source}: it does in {positives[0].probe}, not in"
        f" {(nothing or pending[1][1])[0].probe}; add a probe, a discriminator or a form of rule"
    )


def ordered(rules):
    """The rules of one type, each behind the rules of the fields that it looks at."""
    fields, done, result = {rule["field"] for rule in rules}, set(), []
    while len(done) < len(fields):
        ready = [field for field in sorted(fields - done) if needs(rules, field) & fields <= done | {field}]
        if not ready:
            raise Unexplained(f"the rules of {sorted(fields - done)} look at each other")
        result += [rule for rule in rules if rule["field"] == ready[0]]
        done.add(ready[0])
    return result


def needs(rules, field):
    found = set()
    for rule in (rule for rule in rules if rule["field"] == field):
        found.update(rule["from"].get("fill", []))
        for condition in rule.get("when", []):
            (form, what), = condition.items()
            found.update({"is": lambda: [what["field"]], "absent": lambda: what, "present": lambda: what}.get(form, list)())
    return found
