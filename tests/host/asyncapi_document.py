"""docs/asyncapi.yaml, read: whether it is sound, whether a message is as it says, and what of it was never seen."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match

DOCS = Path(__file__).parents[2] / "docs"
PART = Path(__file__).parents[1] / "data/asyncapi-3.0-part.yaml"
MOST_BODY = 512
_MAGIC = {"profile": b"PTPF", "telemetry": b"\x02", "capture": b"\x01"}
_UNITS = {"ms": ".*_ms", "B": "bytes|heap_.*", "s": "expire_after", "mV": "battery_mv", "bit/s": "bitrate", "%": "load"}

Tree = dict[str, Any]


def load() -> Tree:
    """The document as it stands."""
    tree: Tree = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    return tree


class Document:
    """A document that is sound as far as `faults` says. `unseen` is what of it no judged message has shown so far."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.channels: Tree = tree["channels"]
        self._patterns = {name: self._pattern(channel) for name, channel in self.channels.items()}
        self._documented = {f"{name}: {message}" for name, c in self.channels.items() for message in c["messages"]}
        self._documented |= {f"{at}/properties/{name}" for at, s in self._schemas() for name in s.get("properties", ())}
        self._seen: set[str] = set()

    @property
    def unseen(self) -> list[str]:
        """Messages of channels, and fields."""
        return sorted(self._documented - self._seen)

    def bindings(self, channel: str) -> Tree:
        """The MQTT bindings (qos, retain) of what is sent to a channel."""
        at = {f"#/channels/{channel}"}
        for operation in self.tree["operations"].values():
            if operation["channel"]["$ref"] in at or operation.get("reply", {}).get("channel", {}).get("$ref") in at:
                found: Tree = self.at(operation["bindings"]["$ref"])["mqtt"]
                return found
        raise AssertionError(f"no operation uses the channel {channel}")

    def channel(self, topic: str) -> str | None:
        """The name of the channel that a topic belongs to."""
        return next((name for name, pattern in self._patterns.items() if pattern.fullmatch(topic)), None)

    def judge(self, topic: str, payload: bytes) -> list[str]:
        """What is wrong with a message; what it shows counts as seen."""
        name = self.channel(topic)
        if name is None:
            return [f"{topic}: no channel has this topic"]
        if not payload:
            return [] if self.bindings(name)["retain"] else [f"{topic}: empty"]
        if name in _MAGIC:
            self._seen.update(f"{name}: {message}" for message in self.channels[name]["messages"])
            return [] if payload.startswith(_MAGIC[name]) else [f"{topic}: does not begin with {_MAGIC[name]!r}"]
        return [f"{topic}: {fault}" for fault in self._json(name, payload)]

    def _json(self, name: str, payload: bytes) -> Iterator[str]:
        value = json.loads(payload)
        closest: list[ValidationError] = []
        for message, reference in self.channels[name]["messages"].items():
            at = self.at(reference["$ref"])["payload"]["$ref"]
            error = best_match(self._errors(at, value))
            if error is None:
                self._seen.add(f"{name}: {message}")
                yield from self._see(at, self.at(at), value)
                return
            closest.append(error)
        deepest = max(closest, key=lambda error: (len(error.absolute_path), error.validator != "const"))
        yield f"{deepest.message} at {deepest.json_path}"

    def _errors(self, at: str, value: object) -> Iterator[ValidationError]:
        schema = {"$ref": at, "components": self.tree["components"]}
        found: Iterator[ValidationError] = Draft7Validator(schema).iter_errors(value)
        return found

    def _see(self, at: str, schema: Tree, value: object) -> Iterator[str]:
        """Notes the fields of a value that is as the schema at the pointer `at` says; yields what is wrong in the JSON in it."""
        if "$ref" in schema:
            yield from self._see(schema["$ref"], self.at(schema["$ref"]), value)
        for number, branch in enumerate(schema.get("anyOf", ())):
            if not any(self._errors(f"{at}/anyOf/{number}", value)):
                yield from self._see(f"{at}/anyOf/{number}", branch, value)
        if isinstance(value, dict):
            for name, part in value.items():
                if name in schema.get("properties", ()):
                    self._seen.add(f"{at}/properties/{name}")
                    yield from self._see(f"{at}/properties/{name}", schema["properties"][name], part)
                elif isinstance(schema.get("additionalProperties"), dict):
                    yield from self._see(f"{at}/additionalProperties", schema["additionalProperties"], part)
        elif isinstance(value, list):
            for part in value:
                yield from self._see(f"{at}/items", schema.get("items", {}), part)
        elif "x-json" in schema:
            assert isinstance(value, str)
            if len(value.encode()) > MOST_BODY:
                yield f"more than {MOST_BODY} bytes"
            inner, body = schema["x-json"]["$ref"], json.loads(value)
            yield from (error.message for error in self._errors(inner, body))
            yield from self._see(inner, self.at(inner), body)

    def at(self, pointer: str) -> Tree:
        """What a `$ref` names. Raises KeyError for nothing."""
        here: Any = self.tree
        for step in pointer.removeprefix("#/").split("/"):
            here = here[int(step)] if isinstance(here, list) else here[step]
        found: Tree = here
        return found

    def _pattern(self, channel: Tree) -> re.Pattern[str]:
        pattern = ""
        for part in re.split(r"(\{\w+\})", channel["address"]):
            if part.startswith("{"):
                parameter = channel.get("parameters", {}).get(part[1:-1], {})
                parameter = self.at(parameter["$ref"]) if "$ref" in parameter else parameter
                pattern += f"({parameter.get('x-pattern') or '|'.join(parameter.get('enum', ['[^/]+']))})"
            else:
                pattern += re.escape(part)
        return re.compile(pattern)

    def _schemas(self) -> Iterator[tuple[str, Tree]]:
        """All schemas with the pointers to them."""
        waiting = [(f"#/components/schemas/{name}", schema) for name, schema in self.tree["components"]["schemas"].items()]
        while waiting:
            at, schema = waiting.pop()
            if not isinstance(schema, dict):
                continue
            yield at, schema
            for key in "items", "additionalProperties", "propertyNames":
                waiting.append((f"{at}/{key}", schema.get(key, False)))
            waiting += [(f"{at}/properties/{name}", part) for name, part in schema.get("properties", {}).items()]
            waiting += [(f"{at}/anyOf/{number}", part) for number, part in enumerate(schema.get("anyOf", ()))]

    def faults(self) -> Iterator[str]:
        """What is wrong with the document itself."""
        part = yaml.safe_load(PART.read_text(encoding="utf-8"))
        for error in Draft7Validator(part, format_checker=FormatChecker()).iter_errors(self.tree):
            worst = best_match(error.context) or error if error.context else error
            yield f"{worst.json_path}: {worst.message}"
        references = set(_references(self.tree))
        for reference in references:
            try:
                self.at(reference)
            except (KeyError, IndexError, ValueError):
                yield f"{reference} is not there"
        for kind, entries in self.tree["components"].items():
            for name in entries:
                if f"#/components/{kind}/{name}" not in references:
                    yield f"components/{kind}/{name} is used by nobody"
        for name, channel in self.channels.items():
            if set(re.findall(r"\{(\w+)\}", channel["address"])) != set(channel.get("parameters", ())):
                yield f"{name}: the parameters are not those of the address"
        used = [o["channel"]["$ref"] for o in self.tree["operations"].values()]
        used += [o["reply"]["channel"]["$ref"] for o in self.tree["operations"].values() if "reply" in o]
        if sorted(used) != sorted(f"#/channels/{name}" for name in self.channels):
            yield "not every channel is used by one operation"
        for at, schema in self._schemas():
            yield from (f"{at}: {fault}" for fault in self._schema_faults(schema))

    def _schema_faults(self, schema: Tree) -> Iterator[str]:
        for error in Draft7Validator(Draft7Validator.META_SCHEMA).iter_errors(schema):
            yield error.message
        properties = schema.get("properties", {})
        if "object" in str(schema.get("type")) and "additionalProperties" not in schema:
            yield "it does not say that there is nothing else in it"
        if not set(schema.get("required", ())) <= set(properties):
            yield "it requires what it does not have"
        for name, part in properties.items():
            inner = self.at(part["$ref"]) if "$ref" in part else part
            if "description" not in inner:
                yield f"{name} is not described"
            unit = next((unit for unit, names in _UNITS.items() if re.fullmatch(names, name)), None)
            if inner.get("x-unit") != unit:
                yield f"{name} must have the x-unit {unit}"


def _references(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        if isinstance(tree.get("$ref"), str):
            yield tree["$ref"]
        for part in tree.values():
            yield from _references(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _references(part)
