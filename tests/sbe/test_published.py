"""Bytes printed in public specifications: case 45.

The examples are shared test data and no part of the repository; without them these tests are
skipped. The schemas here say the same as the published ones, for these messages.
"""

import json
from typing import Any

import pytest

from sbe.codec import Codec
from sbe.parser import load
from tests.recordings import RECORDINGS, needs
from tests.sbe.kit import SCHEMAS, check

EXAMPLES = RECORDINGS / "sbe" / "published_examples.jsonl"
FRAMINGS = {"sofh6-le": 6, "sofh6-be": 6}
HEADER_NAMES = {
    "block_length": "blockLength", "template_id": "templateId", "schema_id": "schemaId",
}  # fmt: skip

pytestmark = needs(EXAMPLES)


def examples() -> list[dict[str, Any]]:
    return [json.loads(line) for line in EXAMPLES.read_text().splitlines() if line.strip()]


def schema_for(example: dict[str, Any]) -> str:
    source = example["src"]
    if "STANDARD" in source:
        return "spec_examples.xml"
    return "venue_examples.xml" if "Logon" in source else "quote_example.xml"


def as_published(value: Any) -> Any:
    """A decoded value in the notation of the examples."""
    if isinstance(value, dict):
        return {name: as_published(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_published(item) for item in value]
    return f"hex:{value.hex()}" if isinstance(value, bytes) else value


def without_padding(value: Any) -> Any:
    """The published text has the NULs of its fixed length still on it."""
    if isinstance(value, dict):
        return {name: without_padding(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_padding(item) for item in value]
    return value.rstrip("\0") if isinstance(value, str) else value


@pytest.mark.parametrize("index", range(5))
def test_case_45_published_bytes(index: int) -> None:
    example = examples()[index]
    expected = example["expect"]
    codec = Codec(load(SCHEMAS / schema_for(example)), raw=True)
    framed = bytes.fromhex(example["hex"])
    data = framed[FRAMINGS.get(example.get("framing", ""), 0) :]
    decoded = codec.inspect(data)
    assert decoded.end == len(data) == expected.get("end", expected.get("parsed_length"))
    header = expected.get("hdr") or {
        HEADER_NAMES.get(name, name): value for name, value in expected["header"].items()
    }
    assert {name: decoded.header[name] for name in header} == header
    wanted = expected.get("fields") or {
        name: value for name, value in expected.items() if name not in ("header", "parsed_length")
    }
    fields = as_published(decoded.fields)
    assert {name: fields[name] for name in wanted} == without_padding(wanted)
    assert check(codec.schema, data) == 0
    # Not strict: in one example a required day holds the null of its type.
    loose = Codec(codec.schema, strict=False)
    assert loose.encode(decoded.name, decoded.fields, decoded.extra_header) == data


def test_the_examples_are_as_many_as_are_tested() -> None:
    assert len(examples()) == 5
