"""Pinning at expiry: trading the underlying in the last minutes to decide a price prediction.

Suspicious is an owner with a position in the prediction who, with the price near its boundary,
takes a large part of the underlying's volume before expiry, nearly all of it in the direction that
pays.
"""

from dataclasses import dataclass

from tools.surveillance.alert import Alert, Connection, found


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a suspicion."""

    window: int = 300_000_000_000  # ns before expiry
    near: float = 0.02  # of the boundary, how far the last price may be from it
    share: float = 0.3  # of the underlying's volume in the window
    one_way: float = 0.7  # net over gross of what the owner took
    trades: int = 5


_PINNED = """
WITH prediction AS (
    SELECT i.*, epoch_ns(i.expiry) AS expires FROM instrument i
    WHERE kind IN ('PriceAbove', 'PriceBelow', 'PriceRange') AND expiry IS NOT NULL
        AND expiry <= (SELECT max(time) FROM command) AND epoch_ns(expiry) >= $since
),
-- What each owner holds of it at expiry.
held AS (
    SELECT p.number, l.owner, sum(l.quantity) AS quantity
    FROM prediction p
    JOIN (SELECT instrument, buy_owner AS owner, quantity, time FROM watched_trade
          UNION ALL SELECT instrument, sell_owner, -quantity, time FROM watched_trade) l
        ON l.instrument = p.number AND l.time <= p.expiry
    GROUP BY ALL HAVING sum(l.quantity) <> 0
),
-- What was traded of the underlying in the window, and by whom taken.
last AS (
    SELECT p.number, t.*, CASE aggressor WHEN 'Buy' THEN buy_owner WHEN 'Sell' THEN sell_owner END
           AS taker
    FROM prediction p
    JOIN instrument u ON u.kind IN ('Spot', 'Perpetual') AND u.base_asset = p.base_asset
    JOIN watched_trade t ON t.instrument = u.number
        AND t.moment BETWEEN p.expires - $window AND p.expires
),
market AS (
    SELECT number, sum(quantity) AS volume, arg_max(price, entry) AS price FROM last GROUP BY number
),
taken AS (
    SELECT number, taker AS owner, count(*) AS trades, sum(quantity) AS gross, max(time) AS time,
           sum(CASE aggressor WHEN 'Buy' THEN quantity ELSE -quantity END) AS net,
           list(CASE aggressor WHEN 'Buy' THEN buy_order ELSE sell_order END ORDER BY entry)
           AS orders
    FROM last WHERE taker IS NOT NULL GROUP BY ALL
),
-- The boundary nearest to the last price, and which way pays a long position there.
boundary AS (
    SELECT p.number, p.symbol, m.volume, m.price,
           CASE WHEN upper_strike IS NULL
                  OR abs(m.price - lower_strike) <= abs(m.price - upper_strike)
                THEN lower_strike ELSE upper_strike END AS strike,
           CASE WHEN upper_strike IS NULL
                  OR abs(m.price - lower_strike) <= abs(m.price - upper_strike)
                THEN 1 ELSE -1 END AS upward
    FROM prediction p JOIN market m USING (number)
)
SELECT 'pin at expiry' AS kind, t.time, b.symbol AS instrument, [o.name] AS owners, t.trades,
       t.net, t.gross / b.volume AS share, h.quantity AS held, b.price, b.strike, t.orders
FROM boundary b
JOIN held h USING (number)
JOIN taken t ON t.number = b.number AND t.owner = h.owner
JOIN owner o ON o.number = h.owner
WHERE abs(b.price - b.strike) <= $near * b.strike
    AND t.trades >= $trades AND t.gross >= $share * b.volume
    AND t.net * sign(h.quantity) * b.upward >= $one_way * t.gross
ORDER BY t.time
"""


def pin(
    connection: Connection, limits: Limits | None = None, since: int = 0
) -> list[Alert]:
    """Who pushed the underlying over a boundary they held a prediction on."""
    return found(
        connection, _PINNED, limits or Limits(),
        "holds {held:f}, and before expiry took {net:f} of the underlying in {trades} trades, "
        "{share:.0%} of its volume, with the last price {price:f} near the boundary {strike:f}",
        since,
    )
