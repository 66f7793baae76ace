"""A recorded venue's markets resolve by themselves here, and mostly as they did there."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.recordings import RECORDINGS, needs
from tools.commands.oracle import rehearse_recorded
from tools.rehearsal import ONE, NoRecording, rehearse

RECORDED = RECORDINGS / "polymarket_updown"
BEGIN = 1_772_000_100


def _folder(path: Path, closes: list[float], recorded: dict[int, float]) -> Path:
    """Bars from a minute before BEGIN on, each ending where the next begins."""
    lines, price = ["open_time,open,high,low,close,volume"], 100.0
    for number, close in enumerate(closes):
        at = datetime.fromtimestamp(BEGIN - 60 + 60 * number, UTC)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{price},0,0,{close},1")
        price = close
    with gzip.open(path / "binance_btc.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    with gzip.open(path / "polymarket_btc.csv.gz", "wt") as file:
        file.write("timestamp,slug,yes_price,clob_token_id\n")
        for begin, price in recorded.items():
            file.write(f"x,btc-updown-5m-{begin},{price},1\n")
    return path


def test_up_down_and_exactly_where_it_was(tmp_path: Path) -> None:
    flat, up, down = [100.0] * 5, [100.0, 100, 100, 100, 110], [110.0, 110, 110, 110, 90]
    closes = [100.0, *flat, *up, *down, 90.0]
    recorded = dict.fromkeys((BEGIN, BEGIN + 300), 1.0) | {BEGIN + 600: 0.0, BEGIN + 900: 1.0}
    result = rehearse(_folder(tmp_path, closes, recorded))
    assert [market.ours for market in result.markets] == [True, True, False]
    assert result.markets[0].moved == 0  # On the strike it is "up".
    assert result.agreeing == 3
    assert result.uncovered == 1


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoRecording):
        rehearse(tmp_path)
    assert rehearse_recorded(tmp_path) != 0
    assert "binance_btc" in capsys.readouterr().err


@needs(RECORDED)
@pytest.mark.timeout(120)
def test_two_thousand_recorded_markets() -> None:
    """Those that differ ended where they began, as far as two sources can tell."""
    result = rehearse(RECORDED)
    assert len(result.markets) > 2000
    assert result.unlisted == result.unresolved == 0
    assert result.agreeing / len(result.markets) > 0.95
    assert max(abs(market.moved) for market in result.apart) < 60 * ONE
    # The shorter the window, the more of them agree with a venue that has none.
    instant = rehearse(RECORDED, window_seconds=1)
    assert instant.agreeing / len(instant.markets) > 0.975
    assert len(instant.apart) < len(result.apart)
