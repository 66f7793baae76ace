"""Three readers of the same bytes: the slow codec, the generated accessors, a second decoder."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbe.codec import Codec
from sbe.layout import Schema
from sbe.parser import load
from tests.sbe.kit import SCHEMAS, Bytes, check, compiled, features, same, wide_header
from tests.sbe.random_messages import random_fields
from tests.sbe.read_compiled import CompiledReader
from tests.sbe.second_opinion import SecondOpinion

TOP = SCHEMAS.parents[2]
OURS = sorted((TOP / "sbe" / "schema").glob("*.xml"))
SUBJECTS = [
    (features("little"), SecondOpinion(SCHEMAS / "features.xml")),
    (features("big"), SecondOpinion(SCHEMAS / "features.xml", "big")),
    (wide_header(), SecondOpinion(SCHEMAS / "wide_header.xml")),
] + [(load(path), SecondOpinion(path)) for path in OURS if path.name != "types.xml"]


@pytest.mark.parametrize(("schema", "second"), SUBJECTS, ids=lambda s: getattr(s, "package", ""))
@given(seed=st.integers(0, 2**32))
def test_all_readers_agree_on_every_message(
    schema: Schema, second: SecondOpinion, seed: int
) -> None:
    random, codec = Random(seed), Codec(schema)
    reader = CompiledReader(schema, compiled(schema))
    message = random.choice(schema.messages)
    data = codec.encode(message.name, random_fields(message, random))
    name, fields = codec.decode(data)
    expected = second.decode(data)
    assert name == expected[0]
    assert same(fields, expected[1])
    assert check(schema, data) == 0
    assert codec.encode(name, fields) == data
    if message.name == "Final":
        return  # its names clash on purpose; test_case_43 reads it
    held = Bytes(data)
    assert same(reader.read(held.address), second.leaves)
