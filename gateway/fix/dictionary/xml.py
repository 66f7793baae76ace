"""The same tables as a data dictionary in QuickFIX's XML form, for clients to load.

Two files' worth: `FIX.4.4` has everything in one; for FIXT.1.1 sessions the session layer
(`transport`) and the application (`FIX.5.0SP2`) are apart, as QuickFIX wants them.

    <fix major minor type servicepack>
      <header/> <messages><message name msgtype msgcat><field name required/><group/></message>…
      <trailer/> <components/> <fields><field number name type><value enum description/></field>…
"""

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree as ET

from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.messages import (
    ADMIN,
    HEADER_MEMBERS,
    MESSAGES,
    TRAILER_MEMBERS,
    Layout,
    Member,
)


class Dialect(NamedTuple):
    """What a dictionary is called and which messages it has."""

    type: str
    major: int
    minor: int
    servicepack: int
    admin: bool
    application: bool


DIALECTS = {
    "FIX.4.4": Dialect("FIX", 4, 4, 0, True, True),
    "FIXT.1.1": Dialect("FIXT", 1, 1, 0, True, False),
    "FIX.5.0SP2": Dialect("FIX", 5, 0, 2, False, True),
}


def dictionary_xml(name: str) -> str:
    """The dictionary `FIX.4.4`, `FIXT.1.1` or `FIX.5.0SP2`. Raises KeyError for another."""
    dialect = DIALECTS[name]
    root = ET.Element("fix", {
        "type": dialect.type, "major": str(dialect.major), "minor": str(dialect.minor),
        "servicepack": str(dialect.servicepack)})
    used: set[int] = set()
    header = ET.SubElement(root, "header")
    messages = ET.Element("messages")
    trailer = ET.Element("trailer")
    if dialect.admin:
        _members(header, HEADER_MEMBERS, used)
        _members(trailer, TRAILER_MEMBERS, used)
    for layout in MESSAGES.values():
        admin = layout.kind in ADMIN
        if layout.direction == "none":
            continue
        if (admin and dialect.admin) or (not admin and dialect.application):
            _message(messages, layout, used)
    root.extend([messages, trailer, ET.Element("components")])
    _fields(ET.SubElement(root, "fields"), used)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _message(parent: ET.Element, layout: Layout, used: set[int]) -> None:
    element = ET.SubElement(parent, "message", {
        "name": layout.name, "msgtype": layout.kind,
        "msgcat": "admin" if layout.kind in ADMIN else "app"})
    _members(element, layout.members, used)


def _members(parent: ET.Element, members: Iterable[Member], used: set[int]) -> None:
    for member in members:
        used.add(member.tag)
        what = "group" if member.group else "field"
        element = ET.SubElement(parent, what, {
            "name": FIELDS[member.tag].name, "required": "Y" if member.required else "N"})
        _members(element, member.group, used)


def _fields(parent: ET.Element, used: set[int]) -> None:
    for tag in sorted(used):
        field = FIELDS[tag]
        element = ET.SubElement(parent, "field", {
            "number": str(tag), "name": field.name, "type": field.type})
        for value, meaning in field.values.items():
            ET.SubElement(element, "value", {"enum": value, "description": meaning})
        if tag == 35:
            for layout in MESSAGES.values():
                ET.SubElement(element, "value", {
                    "enum": layout.kind, "description": layout.name.upper()})
