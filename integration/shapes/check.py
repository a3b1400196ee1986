"""Checks recorded answers of the embedded endpoint against AWS's own service models, which botocore carries.

    python3 -m venv venv && venv/bin/pip install -r integration/shapes/requirements.txt
    STAMPMILL_RECORD=$PWD/recorded go test -count=1 ./internal/localaws ./internal/rig ./integration
    venv/bin/python integration/shapes/check.py recorded

Every answer has to parse, without a member that the model does not know, without a required member missing, and with
values of the modelled type: numbers, booleans, timestamps, base64, enumerations. The exit status is 1 if one does not.
"""

import base64
import binascii
import collections
import datetime
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

import botocore
import botocore.awsrequest
import botocore.loaders
import botocore.model
import botocore.parsers

SERVICES = {"servicequotas": "service-quotas", "elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
CBOR = "smithy-rpc-v2-cbor"
TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


class Checker:
    """Walks one answer along its model and collects what is wrong."""

    def __init__(self):
        self.wrong = []

    def fault(self, at, text):
        self.wrong.append(f"{at or 'the answer'}: {text}")

    def scalar(self, shape, text, at):
        """A value that was text in XML, or a JSON string that stands for itself."""
        kind = shape.type_name
        if kind in ("integer", "long") and not re.fullmatch(r"-?\d+", text):
            self.fault(at, f"{text!r} is no {kind}")
        elif kind in ("float", "double") and not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text):
            self.fault(at, f"{text!r} is no {kind}")
        elif kind == "boolean" and text not in ("true", "false"):
            self.fault(at, f"{text!r} is no boolean")
        elif kind == "timestamp" and not TIMESTAMP.match(text):
            self.fault(at, f"{text!r} is no timestamp such as 2026-01-02T03:04:05Z")
        elif kind == "blob":
            try:
                base64.b64decode(text, validate=True)
            except binascii.Error:
                self.fault(at, f"{text!r} is not base64")
        elif kind == "string":
            self.enumeration(shape, text, at)

    def enumeration(self, shape, text, at):
        if getattr(shape, "enum", None) and text not in shape.enum:
            self.fault(at, f"{text!r} is none of {', '.join(shape.enum)}")

    def required(self, shape, given, at):
        for name in shape.required_members:
            if name not in given:
                self.fault(at, f"the required member {name} is missing")


class JSONChecker(Checker):
    EXPECTED = {
        "structure": dict, "map": dict, "list": list, "string": str, "blob": str, "boolean": bool,
        "integer": int, "long": int, "float": (int, float), "double": (int, float), "timestamp": (int, float),
    }

    def value(self, shape, value, at):
        kind = shape.type_name
        if not isinstance(value, self.EXPECTED[kind]) or isinstance(value, bool) and kind != "boolean":
            self.fault(at, f"{value!r} is no {kind}")
        elif kind == "structure":
            self.structure(shape, value, at)
        elif kind == "map":
            for key, inner in value.items():
                self.enumeration(shape.key, key, at)
                self.value(shape.value, inner, f"{at}.{key}")
        elif kind == "list":
            for i, inner in enumerate(value):
                self.value(shape.member, inner, f"{at}[{i}]")
        elif isinstance(value, str):
            self.scalar(shape, value, at)

    def structure(self, shape, value, at):
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        for key in value:
            if key not in names:
                self.fault(at, f"unknown member {key}")
            else:
                self.value(shape.members[names[key]], value[key], f"{at}.{key}".lstrip("."))
        self.required(shape, {names.get(key) for key in value}, at)


class CBORChecker(JSONChecker):
    """For RPC v2 CBOR, whose timestamps are tagged and whose blobs are bytes."""

    EXPECTED = JSONChecker.EXPECTED | {"blob": bytes, "timestamp": datetime.datetime}


class XMLChecker(Checker):
    """For the protocols ec2, query and rest-xml."""

    def structure(self, shape, element, at, ignored=()):
        names, flat = {}, {}
        for name, member in shape.members.items():
            if member.serialization.get("location") in ("header", "headers", "statusCode"):
                continue
            key = member.serialization.get("name", name)
            if member.type_name == "list" and member.serialization.get("flattened"):
                key = member.member.serialization.get("name", key)
                flat[key] = name
            names[key] = name
        seen, given = set(), set()
        for child in element:
            key = local(child.tag)
            if key in ignored:
                continue
            if key not in names:
                self.fault(at, f"unknown element {key}")
                continue
            member = shape.members[names[key]]
            given.add(names[key])
            if key in flat:
                self.value(member.member, child, f"{at}/{key}")
                continue
            if key in seen:
                self.fault(at, f"the element {key} comes twice")
            seen.add(key)
            self.value(member, child, f"{at}/{key}")
        self.required(shape, given, at)

    def value(self, shape, element, at):
        kind = shape.type_name
        if kind == "structure":
            self.structure(shape, element, at)
        elif kind == "list":
            name = shape.member.serialization.get("name", "member")
            for child in element:
                if local(child.tag) != name:
                    self.fault(at, f"the list's element is {local(child.tag)}, expected {name}")
                else:
                    self.value(shape.member, child, f"{at}/{name}")
        elif kind == "map":
            self.map(shape, element, at)
        elif len(element):
            self.fault(at, f"elements where a {kind} is expected")
        else:
            self.scalar(shape, element.text or "", at)

    def map(self, shape, element, at):
        key, value = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
        for entry in element:
            parts = {local(part.tag): part for part in entry}
            if local(entry.tag) != "entry" or set(parts) != {key, value}:
                self.fault(at, f"an entry with {sorted(parts)}, expected entry with {key} and {value}")
            else:
                self.value(shape.value, parts[value], f"{at}/{parts[key].text}")


def local(tag):
    return tag.rsplit("}", 1)[-1]


def check_members(checker, shape, answer):
    if shape is not None:
        checker.value(shape, answer, "")
    elif answer:
        checker.fault("", "the call has no output, but the answer is not empty")
    return checker.wrong


def uncbor(body):
    """The data item as botocore reads it; what stands behind it is a fault."""
    parser = botocore.parsers.create_parser(CBOR)
    stream = parser.get_peekable_stream_from_bytes(body)
    item = parser.parse_data_item(stream)
    if stream.read(1):
        raise ValueError("more than one CBOR data item")
    return item


def check_xml(model, shape, body, protocol):
    checker = XMLChecker()
    if protocol == "rest-xml":
        return check_rest(checker, shape, body)
    root = ElementTree.fromstring(body)
    if local(root.tag) != model.name + "Response":
        checker.fault("", f"the root is {local(root.tag)}, expected {model.name}Response")
    if protocol == "ec2":
        if root.find("{*}requestId") is None:
            checker.fault("", "requestId is missing")
        checker.structure(shape or EMPTY, root, "", ignored=("requestId",) + (() if shape else ("return",)))
        return checker.wrong
    if root.find("{*}ResponseMetadata/{*}RequestId") is None:
        checker.fault("", "ResponseMetadata/RequestId is missing")
    if shape is not None:
        result = root.find("{*}" + shape.serialization.get("resultWrapper", model.name + "Result"))
        if result is None:
            checker.fault("", f"{model.name}Result is missing")
        else:
            checker.structure(shape, result, "")
    return checker.wrong


EMPTY = botocore.model.StructureShape("Empty", {"type": "structure", "members": {}})


def check_rest(checker, shape, body):
    if shape is None or not body.strip():
        return checker.wrong
    payload = shape.serialization.get("payload")
    if payload:
        if shape.members[payload].type_name != "structure":
            return checker.wrong  # an object's bytes
        shape = shape.members[payload]
    checker.structure(shape, ElementTree.fromstring(body), "")
    return checker.wrong


def check_error(service, protocol, body):
    """An error needs a code that SDKs find; JSON ones that the model has are checked whole."""
    if protocol in ("ec2", "query", "rest-xml"):
        if not body.strip():
            return []  # HEAD
        code = ElementTree.fromstring(body).find(".//{*}Code")
        return [] if code is not None and code.text else ["the error has no Code"]
    error = uncbor(body) if protocol == CBOR else json.loads(body)
    code = error.pop("__type", "").rsplit("#", 1)[-1]
    if not code:
        return ["the error has no __type"]
    if code not in service.shape_names:
        return []  # a common error
    checker = Checker()
    shape = service.shape_for(code)
    known = {member.serialization.get("name", name).lower() for name, member in shape.members.items()} | {"message"}
    for key in error:
        if key.lower() not in known:
            checker.fault(code, f"unknown member {key}")
    return checker.wrong


def parse(model, protocol, recording, body):
    """botocore's own parser has to take the answer."""
    if model.has_streaming_output or model.has_event_stream_output:
        return
    headers = botocore.awsrequest.HeadersDict({name: values[0] for name, values in recording["header"].items()})
    answer = {"status_code": recording["status"], "headers": headers, "body": body}
    botocore.parsers.create_parser(protocol).parse(answer, model.output_shape)


def protocol_of(recording, service):
    """The one that the answer came by, where a service has several."""
    if recording["header"].get("Content-Type", [""])[0].startswith("application/cbor"):
        return CBOR
    if recording["query"] and "query" in service.metadata.get("protocols", []):
        return "query"
    return service.metadata["protocol"]


def check(recording, services):
    service = services(SERVICES.get(recording["service"], recording["service"]))
    body = base64.b64decode(recording["body"] or "")
    protocol = protocol_of(recording, service)
    if recording["service"] == "sqs" and recording["query"]:
        return []  # the model has lost the names of the older protocol
    if recording["status"] >= 400:
        return check_error(service, protocol, body)
    if recording["action"] not in service.operation_names:
        return [f"the service has no call {recording['action']}"]
    model = service.operation_model(recording["action"])
    try:
        parse(model, protocol, recording, body)
    except Exception as problem:  # whatever botocore's parser stumbles over is what is wrong
        return [f"botocore cannot parse it: {problem!r}"]
    if protocol == "json":
        return check_members(JSONChecker(), model.output_shape, json.loads(body or b"{}"))
    if protocol == CBOR:
        return check_members(CBORChecker(), model.output_shape, uncbor(body))
    return check_xml(model, model.output_shape, body, protocol)


def main(folder):
    loader = botocore.loaders.Loader()
    cache = {}

    def services(name):
        if name not in cache:
            cache[name] = botocore.model.ServiceModel(loader.load_service_model(name, "service-2"), name)
        return cache[name]

    files = sorted(pathlib.Path(folder).glob("*.json"))
    if not files:
        print(f"shapes: {folder} holds no recorded answer; run the Go tests with STAMPMILL_RECORD={folder}", file=sys.stderr)
        return 1
    actions, wrong = collections.Counter(), collections.defaultdict(list)
    for file in files:
        recording = json.loads(file.read_text())
        action = recording["service"] + "." + recording["action"]
        actions[action] += 1
        for text in check(recording, services):
            wrong[f"{action}: {text}"].append(file.name)
    for text, names in sorted(wrong.items()):
        print(f"{text} ({len(names)} answers, such as {names[0]})")
    print(f"shapes: answers={len(files)} actions={len(actions)} wrong={len(wrong)} (botocore {botocore.__version__})")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
