-- What people ask of: names for numbers, the order record, trades, money, control.

CREATE MACRO units(amount, decimals) AS
    (amount::DECIMAL(24, 0) * [1.000000000000, 0.100000000000, 0.010000000000, 0.001000000000,
     0.000100000000, 0.000010000000, 0.000001000000, 0.000000100000, 0.000000010000,
     0.000000001000, 0.000000000100, 0.000000000010, 0.000000000001][decimals + 1]
    )::DECIMAL(38, 12);

-- ---- what exists -------------------------------------------------------------------------------

CREATE VIEW asset AS
    SELECT asset AS number, arg_max(name, entry) AS name, arg_max(decimals, entry) AS decimals
    FROM asset_registered GROUP BY asset;

-- An omnibus owner's accounts belong to different people: self-trade prevention isn't applied.
CREATE VIEW owner AS
    SELECT r.owner AS number, r.name, c.self_trade_prevention,
           coalesce(c.self_trade_prevention = 'NotApplied', false) AS omnibus
    FROM owner_registered r LEFT JOIN register_owner c USING (sequence);

CREATE VIEW account AS
    SELECT a.account AS number, a.name, a.owner, o.name AS owner_name
    FROM account_registered a LEFT JOIN owner_registered o ON o.owner = a.owner;

CREATE VIEW session AS
    SELECT session AS number, name, kind, owner, account FROM session_registered;

CREATE VIEW instrument AS
    SELECT i.instrument AS number, i.symbol, i.kind, i.base_asset, i.quote_asset, i.event, i.outcome,
           i.tick_size, i.lot_size, i.lower_strike, i.upper_strike, i.expiry, i.title,
           coalesce(q.decimals, 6) AS quote_decimals
    FROM instrument_listed i LEFT JOIN asset q ON q.number = i.quote_asset;

-- ---- orders ------------------------------------------------------------------------------------

-- Everything that happened to orders, in numbers. A prediction's NO side is turned: side and price
-- of `yes_side`, `yes_price` and `yes_last` are in YES terms, as the book is.
CREATE VIEW order_event AS
    SELECT *,
           outcome_side = 'No' AS turned,
           (side = 'Buy') <> (outcome_side = 'No') AS buys,
           CASE WHEN outcome_side = 'No' THEN 1 - price ELSE price END AS yes_price,
           CASE WHEN outcome_side = 'No' THEN 1 - last_px ELSE last_px END AS yes_last,
           contains(flags, 'OnBook') AS on_book,
           contains(flags, 'PriorityKept') AS priority_kept,
           contains(flags, 'Quote') AS quote
    FROM execution_report;

-- The order record: who, what, when it came, since when it has its place, and what became of it.
CREATE VIEW order_record AS
    WITH event AS (
        SELECT entry, sequence, time, exec_type::VARCHAR AS event, ord_status::VARCHAR AS status,
               reason::VARCHAR AS reason, detail, "limit", order_id, cl_ord_id, orig_cl_ord_id,
               owner, account, receiver, tag, instrument, side::VARCHAR AS side,
               outcome_side::VARCHAR AS outcome, ord_type::VARCHAR AS type,
               time_in_force::VARCHAR AS validity, expire_time, exec_inst,
               self_trade_prevention::VARCHAR AS self_trade_prevention,
               trigger_type::VARCHAR AS trigger, price, stop_px, order_qty, display_qty, last_px,
               last_qty, trade_id, last_liquidity::VARCHAR AS liquidity, fee, cum_qty, leaves_qty,
               visible_qty, quote, on_book, echo,
               on_book AND NOT priority_kept AND exec_type <> 'OrderStatus' AS placed
        FROM order_event
        UNION ALL BY NAME
        SELECT entry, sequence, time,
               CASE response_to WHEN 2 THEN 'ReplaceRejected' ELSE 'CancelRejected' END AS event,
               ord_status::VARCHAR AS status, reason::VARCHAR AS reason, detail, "limit", order_id,
               cl_ord_id, orig_cl_ord_id, account, receiver, echo, false AS placed
        FROM order_cancel_reject
    )
    SELECT e.entry, e.sequence, e.time, e.event, e.status,
           nullif(e.reason, 'None') AS reason, e.detail, e."limit",
           e.order_id, e.cl_ord_id AS client_order_id,
           nullif(e.orig_cl_ord_id, 0) AS original_client_order_id, e.echo AS client_text,
           coalesce(o.name, e.owner::VARCHAR) AS client,
           coalesce(a.name, e.account::VARCHAR) AS account, e.account AS account_number,
           coalesce(s.name, nullif(e.receiver, 0)::VARCHAR) AS decision_maker,
           nullif(e.tag, 0) AS algorithm,
           min(e.time) OVER life AS received,
           max(e.time) FILTER (e.placed) OVER so_far AS priority_time,
           max(e.sequence) FILTER (e.placed) OVER so_far AS priority_sequence,
           c.message AS cause, p.name AS cause_from, nullif(c.sender, 0) AS cause_session,
           coalesce(i.symbol, e.instrument::VARCHAR) AS instrument, e.instrument AS instrument_number,
           e.side, e.outcome, e.type, e.validity, e.expire_time AS expires,
           nullif(e.exec_inst, '') AS restrictions, e.self_trade_prevention,
           nullif(e.trigger, 'None') AS trigger, e.price, e.stop_px AS stop_price,
           e.order_qty AS quantity, e.display_qty AS display, e.last_px AS last_price,
           e.last_qty AS last_quantity, e.trade_id, nullif(e.liquidity, 'None') AS liquidity,
           units(e.fee, coalesce(i.quote_decimals, 6)) AS fee, e.cum_qty AS filled,
           e.leaves_qty AS leaves, e.visible_qty AS visible, e.on_book, e.quote
    FROM event e
    LEFT JOIN command c ON c.sequence = e.sequence
    LEFT JOIN producer p ON p.number = c.producer
    LEFT JOIN owner_registered o ON o.owner = e.owner
    LEFT JOIN account_registered a ON a.account = e.account
    LEFT JOIN session_registered s ON s.session = e.receiver
    LEFT JOIN instrument i ON i.number = e.instrument
    WINDOW life AS (PARTITION BY e.order_id),
           so_far AS (PARTITION BY e.order_id ORDER BY e.entry);

-- ---- trades ------------------------------------------------------------------------------------

-- One row a trade, in YES terms. The aggressor is who took; null in an auction.
CREATE VIEW trade AS
    SELECT min(entry) AS entry, min(sequence) AS sequence, min(time) AS time, trade_id,
           any_value(instrument) AS instrument, any_value(yes_last) AS price,
           any_value(last_qty) AS quantity,
           any_value(order_id) FILTER (buys) AS buy_order,
           any_value(order_id) FILTER (NOT buys) AS sell_order,
           any_value(account) FILTER (buys) AS buyer,
           any_value(account) FILTER (NOT buys) AS seller,
           any_value(owner) FILTER (buys) AS buy_owner,
           any_value(owner) FILTER (NOT buys) AS sell_owner,
           any_value(fee) FILTER (buys) AS buy_fee,
           any_value(fee) FILTER (NOT buys) AS sell_fee,
           CASE WHEN bool_or(buys AND last_liquidity = 'Taker') THEN 'Buy'
                WHEN bool_or(NOT buys AND last_liquidity = 'Taker') THEN 'Sell' END AS aggressor
    FROM order_event WHERE exec_type = 'Trade' GROUP BY trade_id;

-- ---- money and control -------------------------------------------------------------------------

CREATE VIEW money AS
    SELECT m.entry, m.sequence, m.time, m.account, m.what, i.symbol AS instrument,
           coalesce(s.name, m.asset::VARCHAR) AS asset,
           units(m.change, coalesce(s.decimals, 6)) AS change,
           units(m.balance, coalesce(s.decimals, 6)) AS balance
    FROM (
        SELECT entry, sequence, time, account, reason::VARCHAR AS what, instrument, asset, change,
               balance
        FROM balance_update WHERE reason <> 'Snapshot'
        UNION ALL
        SELECT entry, sequence, time, account, 'Funding', instrument, 0, amount, balance
        FROM funding_payment
        UNION ALL
        SELECT entry, sequence, time, account, 'Settlement', instrument, 0, amount, balance
        FROM position_settled
        UNION ALL
        SELECT entry, sequence, time, account, 'Payout', instrument, 0, amount, balance
        FROM position_resolved
    ) m
    LEFT JOIN instrument i ON i.number = m.instrument
    LEFT JOIN asset s ON s.number = m.asset;

-- What operators and sidecars told the core, and its answer.
CREATE VIEW control AS
    SELECT c.sequence, c.time, p.name AS "from", c.message, r."key", r.reason::VARCHAR AS answer,
           r.detail, r."limit"
    FROM command_result r
    JOIN command c USING (sequence)
    LEFT JOIN producer p ON p.number = c.producer;
