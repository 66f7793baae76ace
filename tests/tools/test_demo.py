"""The demo keeps its promises, and its recordings are read strictly."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import decode, merge, read
from tools.commands.up import DEFAULTS
from tools.demo.prices import PricesError, Recording, read_prices
from tools.demo.venue import venue


@pytest.mark.timeout(600)
def test_every_promise_of_the_demo_holds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "demo", "--seconds", "40", "--policy", "async"],
        capture_output=True, text=True, timeout=580, check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "everything held" in done.stdout


def test_a_demo_too_short_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "demo", "--seconds", "5"],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 2
    assert "--seconds: expected at least 40, was 5" in done.stdout


def test_the_venue_is_a_good_configuration_with_recorded_sources(tmp_path: Path) -> None:
    file = venue(tmp_path, 30, {"BTC": tmp_path / "BTC.prices"})
    configuration = decode(merge(read(DEFAULTS), read(file)))
    sources = [source for source in configuration.oracle.source if source.asset == "BTC"]
    assert [source.kind for source in sources] == ["file"] * 3
    assert {source.asset for source in configuration.oracle.source} == {"BTC", "ETH", "SOL"}
    assert configuration.instrument[-1].symbol == "BTC-ABOVE-SOON"


def recording(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_prices_are_played_in_order_and_squeezed(tmp_path: Path) -> None:
    path = recording(
        tmp_path, "seconds,asset,price", "100,BTC,110000", "0,BTC,100000", "50,ETH,4000"
    )
    played = Recording(path, tmp_path)
    assert played.files["BTC"].read_text() == ",100000\n"

    async def play() -> None:
        task = asyncio.create_task(played.play(0.5))
        await asyncio.sleep(1.3)
        task.cancel()

    asyncio.run(play())
    assert played.files["BTC"].read_text().splitlines()[-1] == ",110000"
    assert played.files["ETH"].read_text().splitlines()[-1] == ",4000"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("time,price",), "expected the header seconds,asset,price"),
        (("seconds,asset,price",), "no prices"),
        (("seconds,asset,price", "1,BTC,-5"), ":2: price must be above 0"),
        (("seconds,asset,price", "1,BTC"), ":2: expected seconds,asset,price"),
    ],
)
def test_a_bad_recording_is_one_line(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(PricesError, match=message):
        read_prices(recording(tmp_path, *lines))
