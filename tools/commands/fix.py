"""Talk FIX to an exchange: by hand, from a scenario file, or print the data dictionary.

By hand, one line at a time:

    new buy 0.001 BTC-USDC @ 100 tif=IOC      an order; without @ a market order; also account=,
                                              stop=, display=, exec=, expire=, stp=
    cancel ID          replace ID 0.002 @ 101          status ID          orders
    preview buy 0.001 BTC-USDC @ 100          trades [LAST-EXECID]          halt          lift
    book BTC-USDC      positions ACCOUNT      balances [ACCOUNT]            limits        phase
    > D 11={+id}|…     any message            raw on|off   messages as they are, or in words
    seq in=5 out=7     set the next numbers   resend [FROM [TO]]           ask for numbers again
    drop               lose the connection    logon [141=Y|resume|…]       connect and log on
    relogon [141=Y]    log on inside it       raw 8=FIX.4.4|9=…            send bytes as they are
    help               quit

The session is kept alive while nothing is typed: heartbeats, and answers to TestRequests.

A scenario has one step a line (`tools/clients/fix_desk.py` tells them); `--record` keeps what was
said as one. Exit code 1 if a step did not come out as it says.
"""

import sys
from pathlib import Path
from typing import Literal

from gateway.fix.dictionary.xml import dictionary_xml
from tools.clients.fix_desk import FixDesk, Unexpected, run_script
from tools.clients.fix_prompt import Prompt
from tools.clients.fix_record import scenario


def fix(
    *,
    host: str = "127.0.0.1",
    port: int = 7001,
    sender: str = "DESK-NORTH",
    target: str = "ONEBOOK",
    secret: str = "",
    password: str = "",
    version: Literal["FIX.4.4", "FIXT.1.1"] = "FIX.4.4",
    script: Path | None = None,
    record: Path | None = None,
    dictionary: Literal["FIX.4.4", "FIXT.1.1", "FIX.5.0SP2"] | None = None,
) -> int:
    """Talk FIX to an exchange.

    Parameters
    ----------
    host
        Address of the gateway.
    port
        Port of the gateway.
    sender
        SenderCompID (49), who logs on.
    target
        TargetCompID (56), the exchange.
    secret
        Of an `hmac` session.
    password
        Of a `password` session.
    version
        BeginString (8).
    script
        Run this scenario instead of reading commands.
    record
        Write what was said here.
    dictionary
        Print this data dictionary (QuickFIX XML) and do nothing else.
    """
    if dictionary is not None:
        print(dictionary_xml(dictionary), end="")
        return 0
    desk = FixDesk(host, port, sender=sender, target=target, secret=secret, password=password,
                   version=version)
    try:
        if script is not None:
            run_script(desk, script.read_text().splitlines())
            print(f"{script}: as it says")
        else:
            Prompt(desk, __doc__ or "").run()
    except ConnectionRefusedError:
        print(f"onebook: nobody listens at {host}:{port}", file=sys.stderr)
        return 1
    except (Unexpected, OSError) as error:
        print(f"onebook: {error}", file=sys.stderr)
        return 1
    finally:
        desk.drop()
        if record is not None:
            record.write_text("\n".join(scenario(desk.transcript)) + "\n")
    return 0
