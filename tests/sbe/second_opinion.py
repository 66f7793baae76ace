"""A second decoder, written from the standard and sharing no code with sbe/.

It reads the XML with xml.etree and the bytes with plain struct, one message at a time, as one
recursive walk. `decode` gives the name and the fields the way `Codec.decode` does; `leaves` gives
every value on the wire as a number or bytes, by path, for comparison with the compiled accessors.
It does not look for errors in schemas, and of errors in messages only for bytes that end too soon.
"""

import math
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

LETTERS = {
    "char": "B", "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B",
    "uint16": "H", "uint32": "I", "uint64": "Q", "float": "f", "double": "d",
}  # fmt: skip
INCLUDE = "{http://www.w3.org/2001/XInclude}include"


class TooShort(Exception):
    """The bytes end inside the message."""


def default_null(primitive: str) -> Any:
    """Chapter 2: the null of each primitive."""
    if primitive == "char":
        return 0
    if primitive in ("float", "double"):
        return math.nan
    bits = 8 * struct.calcsize("<" + LETTERS[primitive])
    return 2**bits - 1 if primitive[0] == "u" else -(2 ** (bits - 1))


def local(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


class SecondOpinion:
    def __init__(self, path: Path, order: str | None = None) -> None:
        root = ET.parse(path).getroot()
        self.version = int(root.get("version", "0"))
        byte_order = order or root.get("byteOrder", "littleEndian")
        self.order = ">" if byte_order.startswith("big") else "<"
        self.header = root.get("headerType", "messageHeader")
        self.types: dict[str, ET.Element] = {}
        self.messages: dict[int, ET.Element] = {}
        for child in root:
            included = child.tag == INCLUDE
            section = ET.parse(path.parent / child.attrib["href"]).getroot() if included else child
            if local(section) == "types":
                self.types.update({node.attrib["name"]: node for node in section})
            elif local(section) == "message":
                self.messages[int(section.attrib["id"])] = section
        self.data = b""
        self.at = 0
        self.wire_version = 0
        self.leaves: dict[str, Any] = {}

    # Reading

    def decode(self, data: bytes) -> tuple[str, dict[str, Any]]:
        self.data, self.leaves = data, {}
        head = self.numbers(self.header, 0)
        self.at = self.size(self.header)
        self.need(0)
        self.wire_version = head["version"]
        message = self.messages[head["templateId"]]
        name = message.attrib["name"]
        return name, self.block(message, head["blockLength"], name, 0)

    def need(self, count: int) -> None:
        if self.at + count > len(self.data):
            raise TooShort(f"{count} bytes at {self.at} of {len(self.data)}")

    def unpack(self, primitive: str, at: int) -> Any:
        if at + struct.calcsize("<" + LETTERS[primitive]) > len(self.data):
            raise TooShort(f"{primitive} at {at} of {len(self.data)}")
        return struct.unpack_from(self.order + LETTERS[primitive], self.data, at)[0]

    def numbers(self, composite: str, at: int) -> dict[str, int]:
        """The plain numbers of a header, dimension or length."""
        values, offset = {}, 0
        for member in self.types[composite]:
            inner = self.named(member.attrib["type"]) if local(member) == "ref" else member
            if self.constant(member, inner) is not None or member.attrib["name"] == "varData":
                continue
            offset = int(member.get("offset", offset))
            if local(inner) != "composite":
                values[member.attrib["name"]] = self.unpack(self.encoding(inner), at + offset)
            offset += self.size_of(inner)
        return values

    def known(self, node: ET.Element, parent_since: int) -> bool:
        since = int(node.get("sinceVersion", "0"))
        return since <= max(parent_since, self.wire_version)

    def block(self, node: ET.Element, length: int, path: str, since: int) -> dict[str, Any]:
        since = max(since, int(node.get("sinceVersion", "0")))
        start, offset = self.at, 0
        self.need(length)
        values: dict[str, Any] = {}
        for field in (child for child in node if local(child) == "field"):
            name = field.attrib["name"]
            here, kind = f"{path}.{name}", self.named(field.attrib["type"])
            offset = int(field.get("offset", offset))
            if self.constant(field, kind) is not None or self.known(field, since):
                values[name] = self.value(field, kind, start + offset, here)
            elif self.optional(field, kind):
                values[name] = None
            if self.constant(field, kind) is None:
                offset += self.size_of(kind)
        self.at = start + length
        for child in node:
            if local(child) == "group":
                known = self.known(child, since)
                here = f"{path}.{child.attrib['name']}"
                values[child.attrib["name"]] = self.group(child, here, since) if known else []
            elif local(child) == "data":
                values[child.attrib["name"]] = self.vardata(
                    child, f"{path}.{child.attrib['name']}", self.known(child, since)
                )
        return values

    def group(self, node: ET.Element, path: str, since: int) -> list[dict[str, Any]]:
        dimension = node.get("dimensionType", "groupSizeEncoding")
        size = self.size(dimension)
        self.need(size)
        numbers = self.numbers(dimension, self.at)
        self.at += size
        self.leaves[f"{path}#"] = numbers["numInGroup"]
        if numbers["numInGroup"] > len(data := self.data):
            raise TooShort(f"{numbers['numInGroup']} entries in {len(data)} bytes")
        return [
            self.block(node, numbers["blockLength"], f"{path}[{i}]", since)
            for i in range(numbers["numInGroup"])
        ]

    def vardata(self, node: ET.Element, path: str, known: bool) -> str | bytes:
        composite = self.types[node.attrib["type"]]
        content = next(m for m in composite if m.attrib["name"] == "varData")
        value = b""
        if known:
            head = sum(self.size_of(m) for m in composite if m is not content)
            self.need(head)
            length = self.numbers(node.attrib["type"], self.at)["length"]
            self.at += head
            self.need(length)
            value = self.data[self.at : self.at + length]
            self.at += length
            self.leaves[path] = value
        encoding = content.get("characterEncoding")
        if encoding is None and content.attrib["primitiveType"] != "char":
            return value
        return value.decode(encoding or "ascii")

    # Values

    def named(self, name: str) -> ET.Element:
        if name in self.types:
            return self.types[name]
        return ET.Element("type", {"name": name, "primitiveType": name})

    def encoding(self, kind: ET.Element) -> str:
        """The primitive of a type, enum or set."""
        if local(kind) == "type":
            return kind.attrib["primitiveType"]
        return self.encoding(self.named(kind.attrib["encodingType"]))

    def constant(self, use: ET.Element, kind: ET.Element) -> Any:
        """The value of a constant, None of anything else."""
        for node in (use, kind):
            if node.get("presence") != "constant":
                continue
            reference = node.get("valueRef")
            if reference is not None:
                enum, _, wanted = reference.partition(".")
                chosen = next(v for v in self.types[enum] if v.attrib["name"] == wanted)
                if local(kind) == "enum":
                    return wanted
                return self.choice_value(self.types[enum], chosen)
            text = "".join(node.itertext()).strip() or "".join(kind.itertext()).strip()
            return text if kind.attrib["primitiveType"] == "char" else int(text)
        return None

    def choice_value(self, enum: ET.Element, choice: ET.Element) -> int:
        text = "".join(choice.itertext())
        return ord(text.strip() or text[:1]) if self.encoding(enum) == "char" else int(text)

    def optional(self, use: ET.Element, kind: ET.Element) -> bool:
        if use.get("presence") is not None:
            return use.get("presence") == "optional"
        if local(kind) == "enum" and kind.get("presence") is None:
            kind = self.named(kind.attrib["encodingType"])
        return kind.get("presence") == "optional"

    def null(self, kind: ET.Element) -> Any:
        if local(kind) == "enum":
            return self.null(self.named(kind.attrib["encodingType"]))
        own = kind.get("nullValue")
        if own is None:
            return default_null(self.encoding(kind))
        return ord(own) if self.encoding(kind) == "char" else float(own) if "." in own else int(own)

    def value(self, use: ET.Element, kind: ET.Element, at: int, path: str) -> Any:
        fixed = self.constant(use, kind)
        if fixed is not None:
            return fixed
        if local(kind) == "composite":
            return self.composite(use, kind, at, path)
        primitive = self.encoding(kind)
        length = int(kind.get("length", "1"))
        if length > 1:
            return self.array(use, kind, at, path, length)
        raw = self.leaves[path] = self.unpack(primitive, at)
        if local(kind) == "set":
            return [c.attrib["name"] for c in kind if raw >> int(c.text or "0") & 1]
        if self.optional(use, kind) and (raw == self.null(kind) or raw != raw):
            return None
        if local(kind) == "enum":
            names = [c.attrib["name"] for c in kind if self.choice_value(kind, c) == raw]
            return names[0] if names else raw
        return chr(raw) if primitive == "char" else raw

    def array(self, use: ET.Element, kind: ET.Element, at: int, path: str, length: int) -> Any:
        primitive, optional = self.encoding(kind), self.optional(use, kind)
        width = struct.calcsize("<" + LETTERS[primitive])
        if width > 1 or primitive == "int8":
            items = [self.unpack(primitive, at + i * width) for i in range(length)]
            self.leaves[path] = items
            null = self.null(kind)
            items = [None if optional and (v == null or v != v) else v for v in items]
            return None if all(v is None for v in items) else items
        raw = self.leaves[path] = self.data[at : at + length]
        if optional and (raw[0] == 0 if primitive == "char" else set(raw) == {255}):
            return None
        if primitive != "char" and kind.get("characterEncoding") is None:
            return raw
        return raw.split(b"\0")[0].decode(kind.get("characterEncoding", "ascii"))

    def composite(self, use: ET.Element, kind: ET.Element, at: int, path: str) -> Any:
        values, offset, null = {}, 0, None
        for member in kind:
            name = member.attrib["name"]
            inner = self.named(member.attrib["type"]) if local(member) == "ref" else member
            offset = int(member.get("offset", offset))
            values[name] = self.value(member, inner, at + offset, f"{path}.{name}")
            if self.constant(member, inner) is None:
                if null is None:
                    null = self.is_null(inner, at + offset)
                offset += self.size_of(inner)
        return None if null and self.optional(use, kind) else values

    def is_null(self, kind: ET.Element, at: int) -> bool:
        """Whether what stands there is the null of its type, optional or not."""
        if local(kind) == "composite":
            first = next(m for m in kind if self.constant(m, m) is None)
            inner = self.named(first.attrib["type"]) if local(first) == "ref" else first
            return self.is_null(inner, at + int(first.get("offset", "0")))
        raw = self.unpack(self.encoding(kind), at)
        return local(kind) != "set" and bool(raw == self.null(kind) or raw != raw)

    # Sizes

    def size(self, name: str) -> int:
        return self.size_of(self.named(name))

    def size_of(self, kind: ET.Element) -> int:
        if local(kind) == "ref":
            return self.size(kind.attrib["type"])
        if local(kind) == "composite":
            offset = 0
            for member in kind:
                inner = self.named(member.attrib["type"]) if local(member) == "ref" else member
                if self.constant(member, inner) is None:
                    offset = int(member.get("offset", offset)) + self.size_of(inner)
            return offset
        width = struct.calcsize("<" + LETTERS[self.encoding(kind)])
        return width * int(kind.get("length", "1"))
