"""The data dictionary: the tables hold together, and QuickFIX reads them."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gateway.fix.dictionary.fields import BY_NAME, FIELDS
from gateway.fix.dictionary.messages import HEADER_TAGS, MESSAGES, TRAILER_TAGS
from gateway.fix.dictionary.xml import DIALECTS, dictionary_xml


def test_tags_and_names_are_one_to_one() -> None:
    assert len(FIELDS) == len(BY_NAME)
    assert all(FIELDS[field.tag] is field for field in BY_NAME.values())


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_no_message_has_a_field_twice_or_one_of_the_header(kind: str) -> None:
    members = [member.tag for member in MESSAGES[kind].members]
    assert len(members) == len(set(members))
    assert not set(members) & (HEADER_TAGS | TRAILER_TAGS)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_field_used_is_defined(name: str) -> None:
    root = ET.fromstring(dictionary_xml(name))
    defined = {field.get("name") for field in root.iterfind("fields/field")}
    used = {e.get("name") for part in ("header", "messages", "trailer")
            for e in root.iterfind(f"{part}//") if e.tag in ("field", "group")}
    assert used == defined
    offered = sum(layout.direction != "none" for layout in MESSAGES.values())
    assert len(root.findall("messages/message")) in (7, offered - 7, offered)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_quickfix_loads_it(name: str, tmp_path: Path) -> None:
    quickfix = pytest.importorskip("quickfix")
    file = tmp_path / "dictionary.xml"
    file.write_text(dictionary_xml(name))
    assert quickfix.DataDictionary(str(file)) is not None


def test_a_field_of_the_standard_has_the_tag_that_it_has_elsewhere() -> None:
    quickfix = pytest.importorskip("quickfix")
    known = {tag: field.name for tag, field in FIELDS.items() if hasattr(quickfix, field.name)}
    assert len(known) > 200
    elsewhere = {getattr(quickfix, name)().getField(): name for name in known.values()}
    assert known == elsewhere
