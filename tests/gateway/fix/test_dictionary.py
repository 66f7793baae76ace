"""The data dictionary: the tables hold together, and QuickFIX reads them."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gateway.fix.dictionary.fields import BY_NAME, FIELDS
from gateway.fix.dictionary.messages import ADMIN, HEADER_TAGS, INBOUND, MESSAGES, TRAILER_TAGS
from gateway.fix.dictionary.validate import GROUP_ORDER, MISSING, NOT_FOR_TYPE, check
from gateway.fix.dictionary.xml import DIALECTS, dictionary_xml
from gateway.fix.message import parse
from tests.gateway.fix.samples import sample

OFFERED = sorted(kind for kind, layout in MESSAGES.items() if layout.direction != "none")
INBOUND_KINDS = sorted(INBOUND)


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


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The one that has everything; QuickFIX judges 5.0 SP2 by two only inside a session."""
    quickfix = pytest.importorskip("quickfix")
    file = tmp_path_factory.mktemp("dictionary") / "FIX44.xml"
    file.write_text(dictionary_xml("FIX.4.4"))
    found = quickfix.DataDictionary(str(file))
    found.checkUserDefinedFields(True)
    return found


@pytest.mark.parametrize("kind", OFFERED)
def test_quickfix_takes_every_message_and_misses_what_is_required(
    kind: str, dictionary: Any
) -> None:
    quickfix = pytest.importorskip("quickfix")
    layout = MESSAGES[kind]

    def validate(data: bytes) -> None:
        dictionary.validate(quickfix.Message(data.decode(), dictionary, True))

    validate(sample(layout))
    for member in layout.members:
        if member.required:
            with pytest.raises(quickfix.RequiredTagMissing):
                validate(sample(layout, leave=member.tag))
    with pytest.raises(quickfix.TagNotDefinedForMessage):
        validate(sample(layout, more="461=x\x01" if kind in ADMIN else "7=1\x01"))


@pytest.mark.parametrize("kind", INBOUND_KINDS)
def test_we_take_every_message_that_clients_send_and_name_what_is_wrong(kind: str) -> None:
    layout = MESSAGES[kind]
    assert check(parse(sample(layout))) is None
    for member in layout.members:
        if member.required:
            fault = check(parse(sample(layout, leave=member.tag)))
            assert fault is not None
            assert (fault.reason, fault.tag) == (MISSING, member.tag)
        if len(member.group) > 1:
            first = check(parse(sample(layout, leave=member.group[0].tag)))
            assert first is not None
            assert (first.reason, first.tag) == (GROUP_ORDER, member.group[1].tag)
    fault = check(parse(sample(layout, more="461=x\x01" if kind in ADMIN else "7=1\x01")))
    assert fault is not None
    assert fault.reason == NOT_FOR_TYPE
