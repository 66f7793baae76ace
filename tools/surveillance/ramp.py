"""Ramping across products: moving one market of an underlying to trade another at what it makes.

Suspicious is an owner who within minutes takes more than half of the volume of a spot or perpetual
market, nearly all of it one way, moves its price by that, and meanwhile gets out of another product
of the same underlying at a better price than he had got in. Who hedges trades the other way at
once; who ramps had the other position before.
"""

from dataclasses import dataclass

from tools.surveillance.alert import Alert, Connection, found


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a suspicion."""

    window: int = 300_000_000_000  # ns in which the market is moved, and after it to get out
    earlier: int = 3_600_000_000_000  # ns before it in which the other position was taken
    share: float = 0.5  # of the market's volume in the window
    one_way: float = 0.9  # net over gross of what the owner took
    trades: int = 5
    move: float = 0.002  # of the price, from the first to the last of them
    gain: float = 0.002  # of the price at which he got in


_RAMPS = """
WITH product AS (
    SELECT number, symbol, base_asset, kind IN ('Spot', 'Perpetual') AS pushable,
           CASE kind WHEN 'PriceBelow' THEN -1 ELSE 1 END AS way
    FROM instrument WHERE kind IN ('Spot', 'Perpetual', 'PriceAbove', 'PriceBelow')
),
-- Two sets of windows, half a window apart, so that none is cut by a border.
taken AS (
    SELECT t.*, p.base_asset, shift, (moment + shift * ($window // 2)) // $window AS slot,
           CASE aggressor WHEN 'Buy' THEN buy_owner ELSE sell_owner END AS owner,
           CASE aggressor WHEN 'Buy' THEN quantity ELSE -quantity END AS signed,
           CASE aggressor WHEN 'Buy' THEN buy_order ELSE sell_order END AS order_id
    FROM watched_trade t JOIN product p ON p.number = t.instrument AND p.pushable
    CROSS JOIN (VALUES (0), (1)) shifts(shift)
    WHERE aggressor IS NOT NULL AND moment >= $since
),
volume AS (
    SELECT instrument, shift, slot, sum(quantity) AS volume FROM taken GROUP BY ALL
),
pushed AS (
    SELECT instrument, base_asset, shift, slot, owner, count(*) AS trades, sum(quantity) AS gross,
           sum(signed) AS net, arg_min(price, entry) AS first, arg_max(price, entry) AS last,
           min(moment) AS began, max(moment) AS ended, max(time) AS time,
           list(order_id ORDER BY entry) AS orders
    FROM taken GROUP BY ALL
    HAVING count(*) >= $trades AND abs(sum(signed)) >= $one_way * sum(quantity)
        AND sign(sum(signed)) * (arg_max(price, entry) - arg_min(price, entry))
            >= $move * arg_min(price, entry)
),
leg AS (
    SELECT instrument, moment, price, quantity, buy_owner AS owner, 1 AS side FROM watched_trade
    UNION ALL
    SELECT instrument, moment, price, quantity, sell_owner, -1 FROM watched_trade
),
-- What the owner did in another product: into it before the end of the push, out of it from then.
other AS (
    SELECT p.*, v.volume, b.symbol AS other, b.way * sign(p.net) AS direction,
           l.price, l.quantity, l.side = b.way * sign(p.net) AS enters, l.moment
    FROM pushed p JOIN volume v USING (instrument, shift, slot)
    JOIN product b ON b.base_asset = p.base_asset AND b.number <> p.instrument
    JOIN leg l ON l.instrument = b.number AND l.owner = p.owner
        AND l.moment BETWEEN p.began - $earlier AND p.ended + $window
    WHERE p.gross >= $share * v.volume
),
way_out AS (
    SELECT instrument, shift, slot, owner, other, direction, trades, gross, net, first, last,
           volume, began, time, orders,
           sum(quantity) FILTER (enters AND moment < began) AS entered,
           sum(price * quantity) FILTER (enters AND moment < began) AS cost,
           sum(quantity) FILTER (NOT enters AND moment >= began) AS left_with,
           sum(price * quantity) FILTER (NOT enters AND moment >= began) AS proceeds
    FROM other GROUP BY ALL
)
SELECT 'cross-product ramp' AS kind, w.time, i.symbol AS instrument, [o.name] AS owners, w.trades,
       w.net, w.gross / w.volume AS share, w.first, w.last, w.other, w.left_with AS quantity,
       w.cost / w.entered AS got_in, w.proceeds / w.left_with AS got_out, w.orders
FROM way_out w
JOIN instrument i ON i.number = w.instrument
JOIN owner o ON o.number = w.owner
WHERE w.direction * (w.proceeds / w.left_with - w.cost / w.entered) >= $gain * w.cost / w.entered
QUALIFY row_number() OVER (
    PARTITION BY w.instrument, w.owner, w.other, w.began // ($earlier * 24) ORDER BY w.gross DESC
) = 1
ORDER BY w.time
"""


def ramp(
    connection: Connection, limits: Limits | None = None, since: int = 0
) -> list[Alert]:
    """Who moved one market to get out of another at what that made of it."""
    return found(
        connection, _RAMPS, limits or Limits(),
        "took {net:f} in {trades} trades, {share:.0%} of the volume, the price went from {first:f} "
        "to {last:f}; meanwhile got out of {quantity:f} of {other} at {got_out:.4f}, got in at "
        "{got_in:.4f}", since,
    )
