"""`onebook sbe …`: lines in, lines out."""

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sbe.codec import Codec
from sbe.jsonlines import TAKEN
from tests.sbe.kit import FEATURES, SCHEMAS

TOP = Path(__file__).parents[2]
ORDER_ENTRY = TOP / "sbe" / "schema" / "order_entry.xml"
FEATURES_XML = SCHEMAS / "features.xml"


def onebook(*arguments: object, lines: str = "") -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "sbe", *map(str, arguments)], cwd=TOP, input=lines,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_layout_is_a_line_for_each_thing() -> None:
    code, lines, _ = onebook("layout", FEATURES_XML)
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert code == 0
    assert told[0]["schema"] == "tests.features"
    gaps = next(line for line in told if line.get("message") == "Gaps")
    assert gaps["blockLength"] == 40
    assert [(f["name"], f["offset"], f["size"]) for f in gaps["fields"]] == [
        ("odd", 3, 8), ("far", 21, 2), ("next", 23, 1),
    ]  # fmt: skip
    assert gaps["groups"][0]["blockLength"] == 8
    side = next(line for line in told if line.get("enum") == "Side")
    assert side["values"] == {"Buy": 49, "Sell": 50}


def test_encode_and_decode_are_each_other_s_inverse() -> None:
    messages = [
        {"name": "Choices", "side": "Buy", "flag": "T", "small": "zero", "middle": "low",
         "large": "low", "set8": ["b7"], "set16": [], "set32": [], "set64": ["b63"]},
        {"name": "OnlyData", "text": "grüß"},
        {"name": "Nested", "number": 7, "outer": [], "tail": [{"value": 1}], "first": "00ff",
         "second": "é"},
        {"name": "Grown", "fields": {"base": 1, "one": None, "two": 2, "name": None, "three": [],
         "legs": [], "young": []}},
    ]  # fmt: skip
    code, hexes, _ = onebook("encode", FEATURES_XML, lines="\n".join(map(json.dumps, messages)))
    assert code == 0
    codec = Codec.load(FEATURES_XML)
    assert codec.decode(bytes.fromhex(hexes[2]))[1]["first"] == b"\x00\xff"
    code, lines, _ = onebook("decode", FEATURES_XML, lines="\n".join(hexes))
    decoded = [json.loads(line) for line in lines]
    assert decoded[:3] == messages[:3]
    # A field called `name` would hide the message's, so there the fields stand apart.
    assert decoded[3] == messages[3]


def test_bad_lines_are_told_and_the_rest_goes_on() -> None:
    good = '{"name": "Empty"}'
    bad = ["[]", "not json", '{"name": "None"}', '{"name": "OnlyData", "text": 5}', '{"x": 1}',
           '{"name": "\\ud800"}', "[" * 100_000]  # fmt: skip
    code, lines, _ = onebook("encode", FEATURES_XML, lines="\n".join([good, *bad, "", good]))
    assert code == 0
    assert lines[0] == lines[-1] == "000008004d000300"
    assert all(set(json.loads(line)) == {"error"} for line in lines[1:-1])
    assert len(lines) == 2 + len(bad)
    wrong = ["zz", "", "00", "0000080063000300", "000008004d00030000"]
    read = [lines[0], *wrong, "0X" + lines[0].upper(), "", ""]
    code, lines, _ = onebook("decode", FEATURES_XML, lines="\n".join(read))
    assert code == 0
    assert json.loads(lines[0]) == json.loads(lines[-1]) == {"name": "Empty"}
    errors = [json.loads(line)["error"].partition(":")[0] for line in lines[1:-1]]
    assert errors == ["not hex", "truncated", "truncated", "schema", "trailing-bytes"]


def test_a_reader_that_leaves_early_ends_it_quietly() -> None:
    # Far more than a pipe holds, so that it still writes when nobody reads any more.
    lines = ('{"name": "OnlyData", "text": "' + "x" * 200 + '"}\n') * 2_000
    with subprocess.Popen(
        [sys.executable, "-m", "tools.cli", "sbe", "encode", str(FEATURES_XML)], cwd=TOP,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write('{"name": "Empty"}\n')
        process.stdin.flush()
        assert process.stdout.readline() == "000008004d000300\n"
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(lines)
            process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == -signal.SIGPIPE


def test_values_that_json_has_no_word_for() -> None:
    data = Codec.load(FEATURES_XML).encode(
        "Primitives",
        {"a": "x", "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 2**64 - 2,
         "j": float("inf"), "k": float("-inf")},
    )  # fmt: skip
    _, lines, _ = onebook("decode", FEATURES_XML, lines=data.hex())
    told = json.loads(lines[0])
    assert (told["i"], told["j"], told["k"]) == (2**64 - 2, "Infinity", "-Infinity")
    _, again, _ = onebook("encode", FEATURES_XML, lines=lines[0])
    assert again == [data.hex()]
    # A required value that is null and text that is none: shown, and said to be wrong.
    broken = "000009004d000300" + "02c328"
    _, lines, _ = onebook("decode", FEATURES_XML, lines=broken)
    told = json.loads(lines[0])
    assert told["text"] == {"hex": "c328"}
    assert len(told["problems"]) == 1
    _, again, _ = onebook("encode", FEATURES_XML, lines=lines[0])
    assert again == [broken]


def test_a_header_with_members_of_its_own() -> None:
    wide = SCHEMAS / "wide_header.xml"
    order = {"name": "Order", "id": 1, "price": None, "symbol": "A", "ratio": 0.5, "legs": [],
             "text": "", "messageHeader": {"protocol": 7, "seqNum": 9, "sendingTime": 5},
             }  # fmt: skip
    _, hexes, _ = onebook("encode", wide, lines=json.dumps(order))
    _, lines, _ = onebook("decode", wide, lines=hexes[0])
    assert json.loads(lines[0]) == order
    # Where nobody gave them they are zero, and not told.
    del order["messageHeader"]
    _, hexes, _ = onebook("encode", wide, lines=json.dumps(order))
    _, lines, _ = onebook("decode", wide, lines=hexes[0])
    assert json.loads(lines[0]) == order


def test_loose_writes_what_breaks_its_type() -> None:
    line = json.dumps({"name": "Gaps", "odd": 2**64 - 1, "far": 1, "next": 1})
    _, lines, _ = onebook("encode", FEATURES_XML, lines=line)
    assert json.loads(lines[0]) == {
        "error": "Gaps.odd: 18446744073709551615 is the null of its type"
    }
    _, hexes, _ = onebook("encode", FEATURES_XML, "--loose", lines=line)
    _, lines, _ = onebook("decode", FEATURES_XML, lines=hexes[0])
    assert json.loads(lines[0])["problems"] == ["Gaps.odd: is null, but required"]


def test_lint(tmp_path: Path) -> None:
    old, new = tmp_path / "old.xml", tmp_path / "new.xml"
    types = (SCHEMAS / "features_types.xml").read_text()
    (tmp_path / "features_types.xml").write_text(types)
    old.write_text(FEATURES)
    new.write_text(FEATURES)
    assert onebook("lint", old, new) == (0, [], "")
    trap = '<group name="trap" id="9" sinceVersion="4"/><data name="first" id="4"'
    new.write_text(
        FEATURES.replace('version="3"', 'version="4"').replace('<data name="first" id="4"', trap)
    )
    code, lines, _ = onebook("lint", old, new)
    assert code == 1
    assert [json.loads(line)["rule"] for line in lines if '"error"' in line] == [
        "group-before-data"
    ]


def test_a_schema_that_can_t_be_read_is_one_clear_line() -> None:
    for command in ("layout", "encode", "decode", "generate"):
        code, lines, error = onebook(command, "/nowhere.xml")
        assert (code, lines) == (1, [])
        assert (
            error == "onebook sbe: /nowhere.xml:1: file: /nowhere.xml: No such file or directory\n"
        )


def test_generate_prints_the_module() -> None:
    code, lines, _ = onebook("generate", ORDER_ENTRY)
    generated = TOP / "sbe" / "generated" / "order_entry.py"
    assert code == 0
    assert lines == generated.read_text().splitlines()


def test_names_taken_in_a_line_are_told_in_its_docstring() -> None:
    from sbe import jsonlines

    text = jsonlines.__doc__ or ""
    assert all(f"`{name}`" in text or name in ("error",) for name in TAKEN)
