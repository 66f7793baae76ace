"""XML as a tree that remembers where each element stood, with XInclude resolved.

A schema error must name its line, and namespaces are noise here: venues write `sbe:message`,
`ns2:message` under four different URIs, or no namespace at all. So only local names are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from sbe.errors import SchemaError

_INCLUDE_DEPTH_MAX = 16
_DEPTH_MAX = 100
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([^"']+)""")


@dataclass(slots=True)
class Element:
    """One XML element: local name, attributes, children, its own text, and where it began.

    `foreign` is one of another prefix than the root's: of whoever extends the schema.
    """

    tag: str
    attributes: dict[str, str]
    file: str
    line: int
    children: list[Element] = field(default_factory=list)
    text: str = ""
    foreign: bool = False

    def get(self, name: str) -> str | None:
        return self.attributes.get(name)

    def error(self, rule: str, what: str) -> SchemaError:
        return SchemaError(self.file, self.line, rule, what)


class _Builder:
    """Receives expat's calls for one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Element | None = None
        self.prefix = ""
        self.open: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.EntityDeclHandler = self.entity

    def start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, tag = name.rpartition(":")
        plain = {key.strip(): value.strip() for key, value in attributes.items()}
        element = Element(tag, plain, self.file, self.parser.CurrentLineNumber)
        if len(self.open) > _DEPTH_MAX:
            raise element.error("depth", f"elements nest deeper than {_DEPTH_MAX}")
        if self.open:
            element.foreign = prefix not in ("", self.prefix)
            self.open[-1].children.append(element)
        else:
            self.root, self.prefix = element, prefix
        self.open.append(element)

    def end(self, name: str) -> None:
        self.open.pop()

    def characters(self, text: str) -> None:
        if self.open:
            self.open[-1].text += text

    def entity(self, name: str, *rest: object) -> None:
        line = self.parser.CurrentLineNumber
        raise SchemaError(self.file, line, "entity", f"entity {name} declared; none is allowed")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(data: bytes, file: str) -> Element:
    builder = _Builder(file)
    declared = _ENCODING.match(data)
    if not _is_utf8(data) and (declared is None or declared[1].lower() == b"utf-8"):
        # A description typed in an office program: published, and said to be UTF-8.
        data = data.decode("cp1252", "replace").encode()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SchemaError(file, error.lineno, "xml", expat.ErrorString(error.code)) from None
    except LookupError as error:
        raise SchemaError(file, 1, "xml", str(error)) from None
    if builder.root is None:
        raise SchemaError(file, 1, "xml", "no element found")
    return builder.root


def _read(path: Path, asked_by: Element | None) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"{path}: {error.strerror}"
        if asked_by is not None:
            raise asked_by.error("include", what) from None
        raise SchemaError(str(path), 1, "file", what) from None


def read_file(path: Path) -> Element:
    """The root element of a file; its includes are resolved relative to the file that asks."""
    root = _parse(_read(path, None), str(path))
    _include(root, (path.resolve(),))
    return root


def read_text(text: str | bytes, file: str = "<text>", folder: Path | None = None) -> Element:
    """The root element of XML text; includes are resolved in `folder` (default: the current)."""
    data = text.encode() if isinstance(text, str) else text
    root = _parse(data, file)
    _include(root, ((folder or Path()).resolve() / file,))
    return root


def _include(parent: Element, trail: tuple[Path, ...]) -> None:
    """Replace each include below `parent`; `trail` holds the files being read, newest last."""
    resolved: list[Element] = []
    for child in parent.children:
        if child.tag == "include" and child.get("href") is not None:
            resolved.extend(_included(child, trail))
        else:
            _include(child, trail)
            resolved.append(child)
    parent.children = resolved


def _included(include: Element, trail: tuple[Path, ...]) -> list[Element]:
    href = include.attributes["href"]
    if "://" in href or include.get("parse") == "text" or include.get("xpointer"):
        raise include.error("include", f"only whole local XML files can be included: {href}")
    path = (trail[-1].parent / href).resolve()
    if path in trail or len(trail) > _INCLUDE_DEPTH_MAX:
        raise include.error("include", f"{href} includes itself")
    fallback = [child for child in include.children if child.tag == "fallback"]
    if fallback and not path.exists():
        _include(fallback[0], trail)
        return fallback[0].children
    root = _parse(_read(path, include), str(path))
    _include(root, (*trail, path))
    return root.children if root.tag == "messageSchema" else [root]
