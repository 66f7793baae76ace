"""Generated modules: fresh, cheap to import, and right in compiled code as in the interpreter."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

from sbe import raw
from sbe.generate import GENERATED, generate, modules
from sbe.naming import snake
from tests.sbe.kit import Bytes, codec, compiled, features

TOP = Path(__file__).parents[2]
IMPORT_SECONDS_MAX = 0.3

NUMBERS: dict[str, Any] = {
    "a": "x", "b": -127, "c": -32767, "d": -(2**31) + 1, "e": -(2**63) + 1, "f": 254, "g": 65534,
    "h": 2**32 - 2, "i": 2**64 - 2, "j": -1.5, "k": 5e-324,
}  # fmt: skip


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_generated_files_are_fresh() -> None:
    for name, text in modules().items():
        assert (GENERATED / name).read_text() == text, f"{name}: run `python -m sbe.generate`"
    on_disk = {path.name for path in GENERATED.glob("*.py")} - {"__init__.py"}
    assert on_disk == set(modules())


def test_generation_is_deterministic() -> None:
    code = "from sbe.generate import modules; import hashlib;"
    code += "print(hashlib.sha256(repr(modules()).encode()).hexdigest())"
    assert python(code, PYTHONHASHSEED="1") == python(code, PYTHONHASHSEED="2")


@pytest.mark.parametrize("name", sorted(modules()))
def test_importing_a_generated_module_is_cheap(name: str) -> None:
    code = (
        "import numba, numpy, time; from numba.core import typing\n"
        "start = time.process_time()\n"
        f"import sbe.generated.{name.removesuffix('.py')}\n"
        "print(time.process_time() - start)"
    )
    assert min(float(python(code)) for _ in range(3)) < IMPORT_SECONDS_MAX


def test_the_codec_imports_no_numba() -> None:
    code = "import sys, sbe.codec, sbe.jsonlines, sbe.compatibility, sbe.describe, sbe.generate\n"
    assert (
        python(code + "print('numba' in sys.modules, 'llvmlite' in sys.modules)") == "False False"
    )


def read_all(module: ModuleType, order: str) -> tuple[Any, ...]:
    """Every primitive through one compiled function."""
    names = [f"primitives_{letter}" for letter in NUMBERS]
    source = f"def read(a):\n    return ({', '.join(f'module.{name}(a)' for name in names)})\n"
    scope: dict[str, Any] = {"module": module}
    exec(source, scope)
    held = Bytes(codec(order).encode("Primitives", NUMBERS))
    values: tuple[Any, ...] = numba.njit(scope["read"])(held.address + 8)
    return values


@pytest.mark.parametrize("order", ["little", "big"])
def test_every_primitive_in_compiled_code(order: str) -> None:
    module = compiled(features(order))
    expected = (ord("x"), *list(NUMBERS.values())[1:])
    assert read_all(module, order) == expected
    held = Bytes(codec(order).encode("Primitives", NUMBERS))
    assert tuple(getattr(module, f"primitives_{n}")(held.address + 8) for n in NUMBERS) == expected


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_message_written_by_setters_is_the_encoder_s(order: str) -> None:
    module = compiled(features(order))
    source = "def write(h, a):\n    module.write_primitives_header(h)\n"
    for name, value in NUMBERS.items():
        number = ord(value) if isinstance(value, str) else value
        source += f"    module.set_primitives_{name}(a, {number!r})\n"
    scope: dict[str, Any] = {"module": module}
    exec(source, scope)
    data = codec(order).encode("Primitives", NUMBERS)
    for write in (numba.njit(scope["write"]), scope["write"]):
        held = Bytes(b"\xff" * len(data))
        write(held.address, held.address + 8)
        assert bytes(held) == data


def test_setters_store_the_low_bits() -> None:
    module = compiled(features())
    held = Bytes(bytes(60))

    @numba.njit
    def write(a: int, wide: int) -> None:
        module.set_primitives_b(a, wide)
        module.set_primitives_g(a, wide)
        module.set_primitives_i(a, wide)

    write(held.address, -2)
    assert module.primitives_b(held.address) == -2
    assert module.primitives_g(held.address) == 65534
    assert module.primitives_i(held.address) == 2**64 - 2


def test_a_group_written_by_hand() -> None:
    module = compiled(features())
    data = codec().encode(
        "Gaps", {"odd": 1, "far": 2, "next": 3, "padded": [{"value": 7}, {"value": 8}]}
    )
    held = Bytes(bytes(len(data)))

    @numba.njit
    def write(header: int) -> None:
        module.write_gaps_header(header)
        root = header + module.HEADER_SIZE
        module.set_gaps_odd(root, 1)
        module.set_gaps_far(root, 2)
        module.set_gaps_next(root, 3)
        group = module.after_block(root)
        module.write_gaps_padded_header(group, 2)
        for i in range(2):
            entry = group + module.GAPS_PADDED_HEADER_SIZE + i * module.gaps_padded_stride(group)
            module.set_gaps_padded_value(entry, 7 + i)

    write(held.address)
    assert bytes(held) == data


FAULTS = [
    ("Primitives", NUMBERS, {}, 0),
    ("Primitives", NUMBERS, {"i": 2**64 - 1}, 9),
    ("Primitives", NUMBERS, {"a": "\x1f"}, 1),
    ("Primitives", NUMBERS, {"k": float("nan")}, 11),
    ("Optionals", {}, {}, 0),
    ("Optionals", {"percent": 100}, {}, 0),
    ("Optionals", {"percent": 100}, {"percent": 101}, 14),
    ("Optionals", {"percent": 100}, {"onField": -101}, 15),
    ("Optionals", {"percent": 100}, {"maxNull": -(2**31)}, 13),
    ("Optionals", {"percent": 100}, {"side": 51}, 16),
    ("Choices", {}, {"small": 3}, 3),
    ("Choices", {}, {"set64": 2}, 9),
    ("Arrays", {}, {"triple": [1, -(2**15), 3]}, 5),
    ("Composites", {}, {"stamp": {"time": 2**64 - 1}}, 5),
]
WHOLE: dict[str, dict[str, Any]] = {
    "Primitives": NUMBERS,
    "Optionals": {"percent": 0},
    "Choices": {"side": "Buy", "flag": "T", "small": "zero", "middle": "low", "large": "low"},
    "Arrays": {"symbol": "A", "latin": "é", "utf": "é", "hash": bytes(16), "triple": [1, 2, 3],
               "pair": [0.0, 1.0], "wide": [1, 2]},
    "Composites": {"plain": None, "price": None, "money": {"currency": "USD", "amount": None,
                   "side": "Buy"}, "gapped": {"a": 1, "b": 2, "direction": "up", "flags": []},
                   "stamp": {"time": 1}, "maybe": None},
}  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "broken", "field"), FAULTS)
@pytest.mark.parametrize("order", ["little", "big"])
def test_fault_names_the_first_field_that_breaks_its_type(
    order: str, name: str, fields: dict[str, Any], broken: dict[str, Any], field: int
) -> None:
    from sbe.codec import Codec

    loose = Codec(features(order), strict=False)
    held = Bytes(loose.encode(name, {**WHOLE[name], **fields, **broken}))
    fault = getattr(compiled(features(order)), f"{snake(name)}_fault")
    assert fault(held.address + 8) == field
    assert fault.py_func(held.address + 8) == field


def test_accessors_work_without_the_compiler() -> None:
    code = (
        "import numpy as np\n"
        "import sbe.generated.order_entry as oe\n"
        "block = np.zeros(64, np.uint8); at = block.ctypes.data\n"
        "oe.write_sequence_header(at); oe.set_sequence_next_seq_no(at + 8, 7)\n"
        "size = oe.HEADER_SIZE + oe.SEQUENCE_BLOCK\n"
        "print(oe.check(at, size), oe.sequence_next_seq_no(at + 8), oe.check(at, size - 1))"
    )
    assert python(code, NUMBA_DISABLE_JIT="1") == python(code) == "0 7 1"


def test_callers_can_be_cached(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import numba, numpy as np, sys\n"
        "import sbe.generated.order_entry as oe\n"
        "@numba.njit(cache=True)\n"
        "def run(a, n):\n"
        "    oe.write_sequence_header(a)\n"
        "    oe.set_sequence_lapsed(a + 8, 1)\n"
        "    return oe.check(a, n)\n"
        "block = np.zeros(64, np.uint8)\n"
        "print(run(block.ctypes.data, oe.HEADER_SIZE + oe.SEQUENCE_BLOCK),"
        " sum(run.stats.cache_hits.values()))\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(TOP)}
    outputs = [
        subprocess.run([sys.executable, str(program)], env=environment, check=True,
                       capture_output=True, text=True).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
    assert outputs == [["0", "0"], ["0", "1"]]


def test_dtypes_read_what_the_codec_wrote() -> None:
    module = compiled(features())
    gapped = {"a": 1, "b": 2, "direction": "down", "flags": ["high"]}
    data = codec().encode("Composites", {**WHOLE["Composites"], "gapped": gapped})
    row = np.frombuffer(data, module.COMPOSITES, count=1, offset=8)[0]
    assert row["gapped"]["b"] == 2
    assert row["gapped"]["flags"] == 0x80
    assert row["money"]["currency"] == b"USD"
    assert row["stamp"] == 1
    assert row["price"] == -(2**63)


def test_source_is_generated_for_a_schema_without_messages() -> None:
    from tests.sbe.kit import own

    schema = own("")
    compile(generate(schema), "<empty>", "exec")
    held = Bytes(bytes.fromhex("0000010005000000"))
    assert compiled(schema).check(held.address, 8) != 0
    assert raw.load_u16(held.address + 2) == 1
