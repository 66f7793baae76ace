"""The venue of the demo: the default one, with a market that expires while it runs.

Ports are free ones, and nobody listens to the feed. Recorded prices (`--prices`) become files that
the oracle follows, to which the demo appends a line at a time.
"""

import re
from pathlib import Path

DEFAULTS = Path(__file__).parents[1] / "defaults.toml"

EXTRA = """
[settlement]
period_seconds = 10.0

[lending]
period_seconds = 10.0

[reserves]
period_seconds = 3600.0

[[instrument]]
symbol = "BTC-ABOVE-SOON"
kind = "price_linked"
base = "BTC"
tick = "0.01"
lot = "1"
condition = "above"
low = "{strike}"
expires_in_seconds = {expires}
averaging_seconds = 5
title = "BTC above {strike} before the demo ends"
"""

SOURCE = """
[[oracle.source]]
name = "{asset}-recorded-{number}"
asset = "{asset}"
kind = "file"
path = "{path}"
"""


def venue(directory: Path, expires: int, recorded: dict[str, Path]) -> Path:
    """Write the demo's configuration; its path. `recorded` has a file for each asset replayed."""
    text = DEFAULTS.read_text()
    for port in (7001, 7002):
        text = text.replace(f"port = {port}", "port = 0")
    text = text.replace("[feed]\nenabled = true", "[feed]\nenabled = false")
    if recorded:
        for asset in recorded:
            text = _without_sources(text, asset)
    text += EXTRA.format(strike=100_000, expires=expires)
    for asset, path in recorded.items():
        for number in (1, 2, 3):
            text += SOURCE.format(asset=asset, number=number, path=path)
    file = directory / "demo.toml"
    file.write_text(text)
    return file


def _without_sources(text: str, asset: str) -> str:
    blocks = re.split(r"(?m)^(?=\[\[oracle\.source\]\]$)", text)
    return "".join(
        block for block in blocks
        if not (block.startswith("[[oracle.source]]") and f'asset = "{asset}"' in block)
    )
