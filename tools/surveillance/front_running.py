"""Front-running of a resolution: buying what will pay shortly before it is known.

Known is an outcome when its market leaves trading or its payout is announced. Suspicious is an
owner who took much of the volume shortly before, at prices far from what it then paid, and had
hardly traded the market until then.
"""

from dataclasses import dataclass

from tools.surveillance.alert import Alert, Connection, found


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a suspicion."""

    window: int = 600_000_000_000  # ns before it is known
    gain: float = 0.2  # of a contract, on average
    share: float = 0.5  # of the market's volume in the window
    earlier: float = 0.34  # what the owner had traded before, over what it took in the window


_EARLY = """
WITH known AS (
    SELECT i.number, i.symbol, r.payout, epoch_ns(least(r.time, min(s.time))) AS moment
    FROM instrument i
    JOIN instrument_resolved r ON r.instrument = i.number
    LEFT JOIN trading_state_changed s ON s.instrument = i.number
        AND s.state NOT IN ('Open', 'PreOpen') AND s.time <= r.time
    WHERE i.kind = 'Outcome' AND epoch_ns(r.time) >= $since
    GROUP BY i.number, i.symbol, r.payout, r.time
),
last AS (
    SELECT k.number, t.*, k.payout,
           CASE aggressor WHEN 'Buy' THEN buy_owner WHEN 'Sell' THEN sell_owner END AS taker,
           CASE aggressor WHEN 'Buy' THEN k.payout - t.price ELSE t.price - k.payout END AS gain
    FROM known k JOIN watched_trade t ON t.instrument = k.number
        AND t.moment BETWEEN k.moment - $window AND k.moment
),
taken AS (
    SELECT number, taker AS owner, max(time) AS time, count(*) AS trades, sum(quantity) AS quantity,
           sum(gain * quantity) AS gain,
           list(CASE aggressor WHEN 'Buy' THEN buy_order ELSE sell_order END ORDER BY entry)
           AS orders
    FROM last WHERE taker IS NOT NULL GROUP BY ALL
),
market AS (SELECT number, sum(quantity) AS volume FROM last GROUP BY number),
earlier AS (
    SELECT k.number, l.owner, sum(l.quantity) AS quantity
    FROM known k
    JOIN (SELECT instrument, buy_owner AS owner, quantity, moment FROM watched_trade
          UNION ALL SELECT instrument, sell_owner, quantity, moment FROM watched_trade) l
        ON l.instrument = k.number AND l.moment < k.moment - $window
    GROUP BY ALL
)
SELECT 'resolution front-running' AS kind, t.time, k.symbol AS instrument, [o.name] AS owners,
       t.trades, t.quantity, t.gain / t.quantity AS gain, t.quantity / m.volume AS share, k.payout,
       t.orders
FROM known k
JOIN taken t USING (number)
JOIN market m USING (number)
JOIN owner o ON o.number = t.owner
LEFT JOIN earlier e ON e.number = k.number AND e.owner = t.owner
WHERE t.gain >= $gain * t.quantity AND t.quantity >= $share * m.volume
    AND coalesce(e.quantity, 0) <= $earlier * t.quantity
ORDER BY t.time
"""


def front_running(
    connection: Connection, limits: Limits | None = None, since: int = 0
) -> list[Alert]:
    """Who knew."""
    return found(
        connection, _EARLY, limits or Limits(),
        "took {quantity:f} in {trades} trades shortly before it was known to pay {payout:f}: "
        "{share:.0%} of the volume, {gain:.2f} gained a contract, hardly there before", since,
    )
