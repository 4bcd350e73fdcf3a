"""The rules of FHIR R4 (4.0.1) that its models do not hold: invariants, values that are bound, forms of primitives."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any
from xml.etree import ElementTree

Resource = dict[str, Any]

_BOUND = {
    ("Bundle", "type"): "document message transaction transaction-response batch batch-response history searchset collection",
    (
        "DiagnosticReport",
        "status",
    ): "registered partial preliminary final amended corrected appended cancelled entered-in-error unknown",
    ("Observation", "status"): "registered preliminary final amended corrected cancelled entered-in-error unknown",
    ("Device", "status"): "active inactive entered-in-error unknown",
}
"""Values of http://hl7.org/fhir/R4 that are required, of the elements that we write."""

_DEVICE_NAMES = "udi-label-name user-friendly-name patient-reported-name manufacturer-name model-name other"
_NARRATIVE, _METHODS = "generated extensions additional empty", "GET HEAD POST PUT DELETE PATCH"
_XHTML = "{http://www.w3.org/1999/xhtml}"
_BASIC = {f"{_XHTML}{name}" for name in ("div", "p", "b", "i", "span", "br", "ul", "ol", "li", "table", "tr", "td", "th")}
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_URN = re.compile(rf"urn:uuid:{_UUID}|urn:oid:[0-2](\.(0|[1-9][0-9]*))+|urn:ietf:rfc:3986|urn:dicom:uid")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def broken_rules(bundle: Resource) -> list[str]:
    """Returns the rules that a transaction breaks, by their names in the specification where they have one."""
    resources = [entry["resource"] for entry in bundle["entry"] if "resource" in entry]
    of_parts = chain.from_iterable(map(_of_resource, resources))
    return sorted({*_of_bundle(bundle), *_of_elements(bundle), *of_parts, *_of_bindings(bundle), *_of_bindings(*resources)})


def _of_bundle(bundle: Resource) -> Iterator[str]:
    urls = [entry.get("fullUrl", "") for entry in bundle["entry"]]
    if bundle["type"] not in ("searchset", "history") and "total" in bundle:
        yield "bdl-1"
    if any("search" in entry for entry in bundle["entry"]):
        yield "bdl-2"
    if any("request" not in entry for entry in bundle["entry"]):
        yield "bdl-3"
    if any("response" in entry for entry in bundle["entry"]):
        yield "bdl-4"
    if max(Counter(urls).values()) > 1:
        yield "bdl-7"
    if any("/_history/" in url for url in urls):
        yield "bdl-8"
    if any(entry["request"]["method"] not in _METHODS.split() for entry in bundle["entry"] if "request" in entry):
        yield "http-verb"
    if not set(_references(bundle)) <= set(urls):
        yield "reference within the transaction"


def _references(value: object) -> Iterator[str]:
    for element in _elements(value):
        if "reference" in element:
            yield element["reference"]


def _of_resource(resource: Resource) -> Iterator[str]:
    if "contained" in resource:
        yield "dom-2"
    if resource["resourceType"] == "Observation":
        yield from _of_observation(resource)
    if "text" in resource:
        yield from _of_narrative(resource["text"])


def _of_observation(made: Resource) -> Iterator[str]:
    valued = any(name.startswith("value") for name in made)
    if any(not {"low", "high", "text"} & set(one) for one in made.get("referenceRange", ())):
        yield "obs-3"
    if valued and "dataAbsentReason" in made:
        yield "obs-6"
    codes = _codings(made["code"])
    if valued and any(codes & _codings(component["code"]) for component in made.get("component", ())):
        yield "obs-7"
    if not valued and "dataAbsentReason" not in made and not any("valueQuantity" in one for one in made.get("component", ())):
        yield "an observation has a value, or says why it has none"


def _codings(concept: Resource) -> set[tuple[str, str]]:
    return {(one["system"], one["code"]) for one in concept.get("coding", ())}


def _of_narrative(text: Resource) -> Iterator[str]:
    root = ElementTree.fromstring(text["div"])  # of our own making
    if text["status"] not in _NARRATIVE.split():
        yield "narrative-status"
    if root.tag != f"{_XHTML}div" or any(element.tag not in _BASIC or element.attrib for element in root.iter()):
        yield "txt-1"
    if not "".join(root.itertext()).strip():
        yield "txt-2"


def _of_bindings(*resources: Resource) -> Iterator[str]:
    for resource in resources:
        for (kind, name), values in _BOUND.items():
            if resource["resourceType"] == kind and resource.get(name) not in values.split():
                yield f"{kind}.{name}"
        if any(one["type"] not in _DEVICE_NAMES.split() for one in resource.get("deviceName", ()) if isinstance(one, dict)):
            yield "Device.deviceName.type"


def _of_elements(value: object) -> Iterator[str]:
    """Yields what no element may be: empty, a unit code without its system, a name that is no URN, a moment without its zone."""
    for element in _elements(value):
        if any(child in ({}, [], "", None) for child in element.values()):
            yield "ele-1"
        if "code" in element and "value" in element and "system" not in element:
            yield "qty-3"
        if any(isinstance(child, str) and child.startswith("urn:") and not _URN.fullmatch(child) for child in element.values()):
            yield "uri"
        if "issued" in element and not _INSTANT.fullmatch(str(element["issued"])):
            yield "instant"


def _elements(value: object) -> Iterator[Resource]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _elements(child)
    if isinstance(value, list):
        for child in value:
            yield from _elements(child)
