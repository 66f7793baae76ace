"""Wash trading: trades that change nothing but the volume.

With oneself it needs no proof. Between two owners it is a pair that trades there and back at the
same prices, hardly with anybody else, and whose resting orders are hit within seconds: each for
itself happens to honest people, all three together don't.
"""

from dataclasses import dataclass

from tools.surveillance.alert import Alert, Connection, found


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a suspicion."""

    window: int = 600_000_000_000  # ns in which trades belong together
    trades: int = 4
    returned: float = 0.8  # share of the pair's volume that came back at the price it went
    among: float = 0.8  # share of either's volume that was with the other
    age: int = 5_000_000_000  # ns, median age of the resting orders


_WITH_ONESELF = """
SELECT 'wash' AS kind, max(t.time) AS time, i.symbol AS instrument, [any_value(o.name)] AS owners,
       count(*) AS trades, sum(t.quantity) AS quantity,
       list(t.buy_order ORDER BY t.entry) || list(t.sell_order ORDER BY t.entry) AS orders
FROM watched_trade t
JOIN instrument i ON i.number = t.instrument
JOIN owner o ON o.number = t.buy_owner
WHERE t.moment >= $since
    AND (t.buyer = t.seller OR (t.buy_owner = t.sell_owner AND NOT o.omnibus))
GROUP BY t.buy_owner, i.symbol
"""

_BETWEEN_TWO = """
WITH leg AS (
    SELECT t.*, (t.moment + shift * ($window // 2)) // $window AS slot, shift,
           least(buy_owner, sell_owner) AS one, greatest(buy_owner, sell_owner) AS other,
           buy_owner < sell_owner AS one_buys,
           t.moment - CASE WHEN aggressor = 'Buy' THEN s.entered ELSE b.entered END AS age
    FROM watched_trade t CROSS JOIN (VALUES (0), (1)) shifts(shift)
    LEFT JOIN watched_order b ON b.order_id = t.buy_order
    LEFT JOIN watched_order s ON s.order_id = t.sell_order
    -- Whole slots only: what is cut off might have made it honest.
    WHERE buy_owner <> sell_owner
        AND (t.moment + shift * ($window // 2)) // $window * $window
            >= $since + shift * ($window // 2)
),
volume AS (
    SELECT instrument, shift, slot, owner, sum(quantity) AS total
    FROM (SELECT instrument, shift, slot, one AS owner, quantity FROM leg
          UNION ALL SELECT instrument, shift, slot, other, quantity FROM leg)
    GROUP BY ALL
),
returned AS (
    SELECT instrument, shift, slot, one, other, sum(2 * least(there, back)) AS quantity
    FROM (SELECT instrument, shift, slot, one, other, price,
                 coalesce(sum(quantity) FILTER (one_buys), 0) AS there,
                 coalesce(sum(quantity) FILTER (NOT one_buys), 0) AS back
          FROM leg GROUP BY ALL)
    GROUP BY ALL
),
pair AS (
    SELECT instrument, shift, slot, one, other, max(time) AS time, count(*) AS trades,
           sum(quantity) AS quantity, median(age) AS age,
           list(buy_order ORDER BY entry) || list(sell_order ORDER BY entry) AS orders
    FROM leg GROUP BY ALL
    HAVING count(*) >= $trades AND median(age) <= $age
)
SELECT 'wash' AS kind, p.time, i.symbol AS instrument, [a.name, b.name] AS owners, p.trades,
       p.quantity, p.age / 1e9 AS age, r.quantity / p.quantity AS returned,
       p.quantity / greatest(v.total, w.total) AS among, p.orders
FROM pair p
JOIN returned r USING (instrument, shift, slot, one, other)
JOIN volume v ON (v.instrument, v.shift, v.slot, v.owner)
               = (p.instrument, p.shift, p.slot, p.one)
JOIN volume w ON (w.instrument, w.shift, w.slot, w.owner)
               = (p.instrument, p.shift, p.slot, p.other)
JOIN instrument i ON i.number = p.instrument
JOIN owner a ON a.number = p.one
JOIN owner b ON b.number = p.other
WHERE r.quantity >= $returned * p.quantity AND p.quantity >= $among * greatest(v.total, w.total)
QUALIFY row_number() OVER (
    PARTITION BY p.instrument, p.one, p.other, (p.slot * 2 - p.shift) // 2
    ORDER BY p.quantity DESC, p.shift) = 1
ORDER BY p.time
"""


def wash(
    connection: Connection, limits: Limits | None = None, since: int = 0
) -> list[Alert]:
    """Who traded with themselves, alone or in a pair."""
    limits = limits or Limits()
    return found(
        connection, _WITH_ONESELF, limits, "{trades} trades with itself, {quantity:f} in all",
        since,
    ) + found(
        connection, _BETWEEN_TWO, limits,
        "{trades} trades between the two, {quantity:f} in all: {returned:.0%} came back at the "
        "same prices, {among:.0%} of what either traded, resting orders {age:.2f} s old", since,
    )
