"""Layering and spoofing: large orders that were there to be seen, never to be traded.

An episode is an execution of an owner who at that moment showed much more on the other side than on
the side that traded, of orders that had just come, and took those away right after. A market maker
takes quotes away after a fill, too, but showed as much on the side that was hit.
"""

from dataclasses import dataclass

from tools.surveillance.alert import Alert, Connection, found


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a suspicion."""

    before: int = 30_000_000_000  # ns the large orders were there at most before the execution
    after: int = 10_000_000_000  # ns after which they were gone
    times: float = 5.0  # what was shown and taken away, over what stood on the side that traded
    episodes: int = 2


_EPISODES = """
WITH execution AS (
    SELECT instrument, owner, buys, sequence, max(moment) AS moment, max(time) AS time,
           sum(quantity) AS quantity
    FROM (SELECT instrument, buy_owner AS owner, true AS buys, sequence, moment, time, quantity
          FROM watched_trade
          UNION ALL
          SELECT instrument, sell_owner, false, sequence, moment, time, quantity FROM watched_trade)
    WHERE moment >= $since
    GROUP BY ALL
),
gone AS (
    SELECT *, ended // $after AS slot FROM watched_order
    WHERE ended >= $since AND withdrawn AND filled = 0 AND ended - entered <= $before + $after
),
episode AS (
    SELECT e.*, sum(g.quantity) AS shown, count(DISTINCT g.price) AS levels,
           list(g.order_id ORDER BY g.order_id) AS orders
    FROM (SELECT *, moment // $after + step AS slot
          FROM execution CROSS JOIN (VALUES (0), (1)) steps(step)) e
    JOIN gone g ON g.instrument = e.instrument AND g.owner = e.owner AND g.buys <> e.buys
        AND g.slot = e.slot
        AND g.entered <= e.moment AND g.ended > e.moment AND g.ended - e.moment <= $after
    GROUP BY e.instrument, e.owner, e.buys, e.sequence, e.moment, e.time, e.quantity, e.step, e.slot
),
whole AS (
    SELECT instrument, owner, buys, sequence, any_value(moment) AS moment, any_value(time) AS time,
           any_value(quantity) AS quantity, sum(shown) AS shown, max(levels) AS levels,
           flatten(list(orders)) AS orders
    FROM episode GROUP BY instrument, owner, buys, sequence
    HAVING sum(shown) >= $times * any_value(quantity)
),
one_sided AS (
    SELECT w.*, (
        SELECT coalesce(sum(o.quantity), 0) FROM watched_order o
        WHERE o.instrument = w.instrument AND o.owner = w.owner AND o.buys = w.buys
            AND o.entered <= w.moment AND coalesce(o.ended, w.moment) >= w.moment
    ) AS honest
    FROM whole w
)
SELECT CASE WHEN max(levels) > 1 THEN 'layering' ELSE 'spoofing' END AS kind, max(s.time) AS time,
       i.symbol AS instrument, [any_value(o.name)] AS owners, count(*) AS episodes,
       sum(s.shown) AS shown, max(levels) AS levels, sum(s.quantity) AS traded,
       flatten(list(s.orders ORDER BY s.moment)) AS orders
FROM one_sided s
JOIN instrument i ON i.number = s.instrument
JOIN owner o ON o.number = s.owner
WHERE s.shown >= $times * s.honest
GROUP BY s.instrument, s.owner, i.symbol
HAVING count(*) >= $episodes
ORDER BY time
"""


def layering(
    connection: Connection, limits: Limits | None = None, since: int = 0
) -> list[Alert]:
    """Who showed what they didn't mean, again and again."""
    return found(
        connection, _EPISODES, limits or Limits(),
        "{episodes} times: {shown:f} shown on up to {levels} prices and taken away while "
        "{traded:f} traded on the other side", since,
    )
