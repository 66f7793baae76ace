"""`onebook` as a shell meets it: how it ends where whoever reads it has seen enough."""

import subprocess
import sys
from pathlib import Path

import sbe

SCHEMA = Path(sbe.__file__).parent / "schema" / "order_entry.xml"
CASES = 2000  # Their JSON comes to more than a pipe holds.


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    cases = tmp_path / "cases.json"
    cases.write_text(
        '{"cases": [' + ",".join(f'{{"id": "{n}", "usdc": "1"}}' for n in range(CASES)) + "]}"
    )
    for arguments in (["sbe", "layout", str(SCHEMA)], ["margin", "--reference", str(cases)]):
        command = [sys.executable, "-m", "tools.cli", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(1)
            process.stdout.close()
            assert process.stderr.read() == b"", arguments
            assert process.wait(60) == 141, arguments


def test_one_that_reads_to_the_end_gets_all() -> None:
    command = [sys.executable, "-m", "tools.cli", "sbe", "layout", str(SCHEMA)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout.endswith(b"\n")
    assert done.stderr == b""
