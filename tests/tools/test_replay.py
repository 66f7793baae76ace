"""A recorded day of one stock through the real core equals the venue's published book."""

import csv
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recordings import RECORDINGS, needs
from tools.commands.replay import most_open, replay
from tools.replay.rows import ReplayError, read_rows

RECORDING = RECORDINGS / "mbo_arl_20250717"
LEVELS = 10
SIDES = {"A": "S", "B": "B"}
Record = dict[str, str]


def convert(records: list[Record]) -> list[tuple[Record, list[str]]]:
    """Databento MBO messages as replay rows, each with the message it ends.

    An execution is three messages: T (the aggressor), F (the resting order) and C (its reduction).
    T becomes a market order of the aggressor; F and the C it announces say nothing new. A T whose
    side is N met no displayed order. C for less than the whole is a cancel, else a delete.
    """
    rows: list[tuple[Record, list[str]]] = []
    sizes: dict[str, int] = {}
    filled: deque[str] = deque()
    for number, record in enumerate(records):
        action, order, size = record["action"], record["order_id"], int(record["size"])
        if action == "A":
            sizes[order] = size
            fields = ["add", order, SIDES[record["side"]], record["price"], str(size)]
        elif action == "T" and record["side"] != "N":
            fields = ["market", f"t{number}", SIDES[record["side"]], "", str(size)]
        elif action == "F":
            filled.append(order)
            sizes[order] -= size
            continue
        elif action == "C" and order in filled:
            filled.remove(order)
            if rows:
                rows[-1] = (record, rows[-1][1])
            continue
        elif action == "C":
            sizes[order] -= size
            whole = sizes[order] == 0
            fields = ["delete" if whole else "cancel", order, "", "", "" if whole else str(size)]
        else:
            assert action in "RTN", f"Expected a known action, was {action}."
            continue
        rows.append((record, [str(number), *fields]))
    return rows


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seq", "action", "order_id", "side", "price", "qty"])
        writer.writerows(rows)
    return path


def read(path: Path) -> list[Record]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text) if text else 0.0


@needs(RECORDING)
def test_the_book_of_a_recorded_day_is_the_published_one(tmp_path: Path) -> None:
    rows = convert(read(RECORDING / "mbo.csv"))
    orders = write(tmp_path / "orders.csv", [fields for _, fields in rows])
    out, trades = tmp_path / "book.csv", tmp_path / "trades.csv"
    assert replay(orders, levels=LEVELS, book=out, trades=trades) == 0
    books: dict[tuple[str, str], deque[Record]] = {}
    for (record, _), book in zip(rows, read(out), strict=True):
        books.setdefault((record["sequence"], record["action"]), deque()).append(book)
    published = [row for row in read(RECORDING / "mbp_actual.csv") if row["action"] in "AC"]
    compared = 0
    for row in published:
        candidates = books[row["sequence"], row["action"]]
        assert any(same_book(row, book) for book in candidates), row["sequence"]
        compared += 1
    assert compared == len(published) > 3800
    makers = [record for record in read(RECORDING / "mbo.csv") if record["action"] == "F"]
    assert [trade["maker_order_id"] for trade in read(trades)] == [f["order_id"] for f in makers]


def same_book(published: Record, book: Record) -> bool:
    names = [
        (f"{side}_{short}_{level:02}", f"{side}_{long}_{level}")
        for level in range(LEVELS)
        for side in ("bid", "ask")
        for short, long in (("px", "price"), ("sz", "qty"), ("ct", "count"))
    ]
    return all(number(published[a]) == number(book[b]) for a, b in names)


def small(tmp_path: Path, *rows: str) -> Path:
    return write(tmp_path / "orders.csv", [row.split(",") for row in rows])


def run(tmp_path: Path, *rows: str) -> tuple[list[Record], list[Record]]:
    out, trades = tmp_path / "book.csv", tmp_path / "trades.csv"
    assert replay(small(tmp_path, *rows), levels=2, book=out, trades=trades) == 0
    return read(out), read(trades)


def test_priority_after_cancel_and_replace(tmp_path: Path) -> None:
    book, trades = run(
        tmp_path,
        "1,add,a,B,10.00,50",
        "2,add,b,B,10.00,50",
        "3,cancel,a,,,20",  # Less: keeps its place.
        "4,add,c,B,10.00,10",
        "5,replace,b,,10.00,60",  # More: goes to the back.
        "6,market,m,S,,45",
    )
    fills = [(trade["maker_order_id"], trade["qty"]) for trade in trades]
    assert fills == [("a", "30"), ("c", "10"), ("b", "5")]
    assert (book[-1]["bid_qty_0"], book[-1]["bid_count_0"]) == ("55", "1")


def test_a_crossing_add_trades_at_the_resting_price(tmp_path: Path) -> None:
    book, trades = run(tmp_path, "1,add,a,S,10.05,10", "2,add,b,B,10.10,25")
    assert [(t["price"], t["qty"], t["taker_order_id"]) for t in trades] == [("10.05", "10", "b")]
    assert (book[-1]["bid_price_0"], book[-1]["bid_qty_0"]) == ("10.10", "15")


def test_a_market_row_takes_every_level(tmp_path: Path) -> None:
    book, trades = run(
        tmp_path, "1,add,a,S,10,1", "2,add,b,S,1000,1", "3,add,c,S,5000,1", "4,market,m,B,,9"
    )
    assert [trade["price"] for trade in trades] == ["10", "1000", "5000"]
    assert book[-1]["ask_count_0"] == "0"


def test_prices_and_quantities_of_any_fineness_and_size(tmp_path: Path) -> None:
    book, trades = run(
        tmp_path, "1,add,a,S,27123.123456789,0.00000001", "2,add,b,S,0.000000000001,5000000.5",
        "3,add,c,B,98765432109.5,5000000.50000001",
    )
    assert [(t["maker_order_id"], float(t["price"]), float(t["qty"])) for t in trades] == [
        ("b", 1e-12, 5000000.5), ("a", 27123.123456789, 1e-8)]
    assert book[1]["ask_price_0"] == "0.000000000001"
    assert book[-1]["bid_count_0"] == book[-1]["ask_count_0"] == "0"


def test_the_most_open_orders_count_what_is_deleted(tmp_path: Path) -> None:
    rows = ["1,add,a,B,9,5", "2,add,b,B,9,5", "3,delete,a,,,", "4,add,c,B,9,5", "5,market,m,S,,1"]
    assert most_open(list(read_rows(small(tmp_path, *rows)))) == 2


def test_a_replace_that_crosses_names_the_side_that_took(tmp_path: Path) -> None:
    _, trades = run(tmp_path, "1,add,a,S,10,5", "2,add,b,B,9,5", "3,replace,b,,11,7")
    assert [(t["side"], t["price"], t["qty"]) for t in trades] == [("B", "10", "5")]


def test_columns_in_another_order_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_bytes(b"\xef\xbb\xbfqty,seq,price,side,order_id,action\r\n\r\n5,1,2.5,B,a,add\r\n")
    (row,) = read_rows(file)
    assert (row.seq, row.action, row.order_id, str(row.price), str(row.quantity)) == (
        "1", "add", "a", "2.5", "5")


@pytest.mark.parametrize(("content", "message"), [
    (b"", ":1: expected the header seq,action"),
    (b"seq,action,order_id,side,price\n", ":1: expected the header"),
    (b"seq,action,order_id,side,price,qty,venue\n", ":1: expected the header"),
    (b"seq,action,order_id,side,price,qty\n1,add,\xe9,B,1,1\n", "can't decode"),
    (b'seq,action,order_id,side,price,qty\n1,add,"a,B,1,1\n', "unexpected end"),
])
def test_another_file_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes(content)
    with pytest.raises(ReplayError, match=message):
        list(read_rows(file))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,push,a,B,1,1", "action: expected one of"),
        ("1,add,a,X,1,1", "side: expected B or S, was 'X'"),
        ("1,add,a,B,-1,1", "price: expected more than 0"),
        ("1,add,a,B,1,nan", "qty: expected a decimal, was 'nan'"),
        ("1,add,a,B,1,0", "qty: expected more than 0"),
        ("1,add,a,B,1e99,1", "price: at most 18 digits"),
        ("1,add,a,B,1_0,1", "price: expected a decimal"),
        ("1,add,a,B,1", "expected 6 fields, was 5"),
        ("1,add,,B,1,1", "order_id: required"),
    ],
)
def test_a_bad_row_names_its_line_and_field(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ReplayError, match=message) as caught:
        list(read_rows(small(tmp_path, row)))
    assert ":2: " in str(caught.value)


def test_unknown_order_is_one_clear_line(tmp_path: Path, capsys: Any) -> None:
    assert replay(small(tmp_path, "1,delete,zz,,,"), levels=1) == 1
    assert "line 2: order_id: zz is not on the book" in capsys.readouterr().err


def test_random_books_against_a_plain_model(tmp_path: Path) -> None:
    """Ten thousand random rows: levels and trades as a dictionary of lists would have them."""
    random = np.random.default_rng(7)
    model: dict[str, dict[int, list[list[Any]]]] = {"B": {}, "S": {}}
    rows, expected, live = [], [], {}
    for i in range(2000):
        if live and random.random() < 0.4:
            name = list(live)[int(random.integers(len(live)))]
            side, price = live.pop(name)
            queue = model[side][price]
            queue[:] = [order for order in queue if order[0] != name]
            rows.append(f"{i},delete,{name},,,")
        else:
            side = "B" if random.random() < 0.5 else "S"
            price = int(random.integers(90, 111))
            left, name = int(random.integers(1, 20)), f"o{i}"
            rows.append(f"{i},add,{name},{side},{price},{left}")
            other = model["S" if side == "B" else "B"]
            for best in sorted(other, reverse=side == "S"):
                if (best > price) if side == "B" else (best < price):
                    break
                while left and other[best]:
                    maker = other[best][0]
                    traded = min(left, maker[1])
                    expected.append((maker[0], name, best, traded))
                    left -= traded
                    maker[1] -= traded
                    if maker[1] == 0:
                        other[best].pop(0)
                        del live[maker[0]]
            if left:
                model[side].setdefault(price, []).append([name, left])
                live[name] = (side, price)
    book, trades = run(tmp_path, *rows)
    assert [(t["maker_order_id"], t["taker_order_id"], int(t["price"]), int(t["qty"]))
            for t in trades] == expected
    best = max((price for price, queue in model["B"].items() if queue), default=0)
    assert int(book[-1]["bid_price_0"] or 0) == best
    assert int(book[-1]["bid_qty_0"]) == sum(order[1] for order in model["B"].get(best, []))
