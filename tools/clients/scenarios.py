"""The scenarios of the certification, by name: what each shows, and its steps.

`{symbol}`, `{quantity}` and `{price}` are the desk's choice; the price must rest in the book. The
steps are those of `tools/clients/fix_desk.py`; each `<` or `until` names what only the right
exchange answers, and every message is held to length, sum and number besides.
"""

_ORDER = "11={+id}|55={symbol}|54=1|38={quantity}|40=2|44={price}|59=1|60={time}"
_LISTED = "55={symbol}|54=1|38={quantity}|40=2|44={price}|59=1"
_BID = "55={symbol}|132={price}|134={quantity}"
_FIRST, _SECOND = f"11={{+id}}|67=1|{_LISTED}", f"11={{+other}}|67=2|{_LISTED}"
_NEW = f"""
    > D {_ORDER}
    < 8 11={{id}}|150=0|39=0|38={{quantity}}|151={{quantity}}|14=0|37={{order}}
"""
_CANCEL = """
    > F 11={+other}|41={id}|55={symbol}|54=1|60={time}
    < 8 11={other}|41={id}|37={order}|150=4|39=4|151=0
"""
_ON, _OFF = "logon 141=Y", "logout"

SCENARIOS: dict[str, tuple[str, str]] = {
    "logon": ("Log on with numbers starting again, and log out", f"{_ON}\n{_OFF}"),
    "heartbeat": (
        "A TestRequest is answered at once, with its id",
        f"{_ON}\n> 1 112=CERTIFY\n< 0 112=CERTIFY|34=2\n{_OFF}"),
    "silence": (
        "A silent client is beaten to, then asked whether it is there",
        f"""logon 141=Y|108=1
        < 0 34=2
        < 1 34=3|112={{test}}
        > 0 112={{test}}
        < 0 34=4
        {_OFF}"""),
    "reset": (
        "A Logon inside the session starts both numbers again",
        f"""{_ON}
        > 1 112=BEFORE
        < 0 112=BEFORE|34=2
        relogon 141=Y
        > 1 112=BEHIND
        < 0 112=BEHIND|34=2
        {_OFF}"""),
    "gap": (
        "A gap is asked for once, and closed by a gap fill",
        f"""{_ON}
        seq out=5
        > 1 112=ABOVE
        < 2 7=2|16=0
        silence
        seq out=2
        > 4 123=Y|36=5
        < 0 112=ABOVE
        seq out=6
        {_OFF}"""),
    "too-low": (
        "A number below the expected one ends the session, naming both",
        f"{_ON}\n> 0\nseq out=2\n> 0\n< 5 58=~expecting 3 but received 2\nend"),
    "new-order": ("A limit order is acknowledged and rests", f"{_ON}{_NEW}{_CANCEL}{_OFF}"),
    "resend": (
        "Reports come again, admin messages as gap fills",
        f"""{_ON}
        {_NEW}
        > 1 112=BEAT
        < 0 112=BEAT|34=3
        > 2 7=1|16=3
        < 4 34=1|43=Y|123=Y|36=2
        < 8 34=2|43=Y|11={{id}}|37={{order}}
        < 4 34=3|43=Y|123=Y|36=4
        {_CANCEL}
        {_OFF}"""),
    "reconnect": (
        "After a lost connection the numbers go on, and what was missed can be asked for",
        f"""{_ON}
        {_NEW}
        drop
        wait 0.3
        logon resume
        > 2 7=2|16=2
        < 8 34=2|43=Y|11={{id}}
        {_CANCEL}
        {_OFF}"""),
    "replace": (
        "Less quantity by replace: same order, new id",
        f"""{_ON}
        {_NEW}
        > G 11={{+newer}}|41={{id}}|55={{symbol}}|54=1|38={{less}}|40=2|44={{price}}|60={{time}}
        < 8 11={{newer}}|41={{id}}|37={{order}}|150=5|38={{less}}|151={{less}}
        > F 11={{+other}}|41={{newer}}|55={{symbol}}|54=1|60={{time}}
        < 8 11={{other}}|150=4|39=4
        {_OFF}"""),
    "replace-unknown": (
        "A replace of an order there isn't is rejected as unknown",
        f"""{_ON}
        > G 11={{+id}}|41=never-sent|55={{symbol}}|54=1|38={{less}}|40=2|44={{price}}|60={{time}}
        < 9 11={{id}}|41=never-sent|39=8|434=2|102=1
        {_OFF}"""),
    "immediate": (
        "What an immediate order finds nobody for is cancelled; one that must fill is refused",
        f"""{_ON}
        > D {_ORDER.replace("59=1", "59=3")}
        < 8 11={{id}}|150=0|39=0
        < 8 11={{id}}|150=4|39=4|151=0|14=0
        > D {_ORDER.replace("59=1", "59=4")}
        < 8 11={{id}}|150=8|39=8|151=0
        {_OFF}"""),
    "cancel-on-disconnect": (
        "Orders go when the connection is lost, and the cancels are told afterwards",
        f"""{_ON}|8013=S
        {_NEW}
        drop
        wait 1
        logon resume
        > 2 7=3|16=3
        < 8 34=3|43=Y|11={{id}}|37={{order}}|150=4|39=4|21020=75
        {_OFF}"""),
    "quote": (
        "A quote is acknowledged by its own names, and cancelled with all others",
        f"""{_ON}
        > i 117={{+quote}}|301=2|296=1|302=SET|304=1|295=1|299=ONE|{_BID}
        until b 117={{quote}}|297=0|302=SET|299=ONE|55={{symbol}}
        > Z 117={{+gone}}|298=4
        < 8 150=4|39=4|55={{symbol}}
        {_OFF}"""),
    "cancel-unknown": (
        "A cancel of an order there isn't is rejected as unknown",
        f"""{_ON}
        > F 11={{+id}}|41=never-sent|55={{symbol}}|54=1|60={{time}}
        < 9 11={{id}}|41=never-sent|39=8|434=1|102=1
        {_OFF}"""),
    "mass-cancel": (
        "Two orders are cancelled by one request",
        f"""{_ON}
        {_NEW}
        > D {_ORDER}
        < 8 11={{id}}|150=0
        > q 11={{+mass}}|530=6|60={{time}}
        < 8 150=4
        < 8 150=4
        < r 11={{mass}}|531=6|533=2
        {_OFF}"""),
    "status": (
        "The status of an open order, then of one there isn't",
        f"""{_ON}
        {_NEW}
        > H 11={{id}}|55={{symbol}}|54=1
        < 8 150=I|39=0|11={{id}}|37={{order}}
        {_CANCEL}
        > H 11=never-sent|55={{symbol}}|54=1|790=Q
        < 8 150=I|39=8|11=never-sent|790=Q
        {_OFF}"""),
    "rejects": (
        "What is wrong is named: tag, value, rule",
        f"""{_ON}
        > D 11={{+id}}|55={{symbol}}|54=1|38={{quantity}}|40=2|44={{price}}
        < 3 371=60|372=D|373=1
        > D {_ORDER}|40=2
        < 3 371=40|373=13
        > D 11={{+id}}|55={{symbol}}|54=7|38=1|40=2|44={{price}}|60={{time}}
        < 3 371=54|373=5
        > D 11={{+id}}|55=NO-SUCH|54=1|38=1|40=2|44={{price}}|60={{time}}
        < 8 11={{id}}|150=8|39=8|103=1
        > D 11={{+id}}|55={{symbol}}|54=1|38=0|40=2|44={{price}}|60={{time}}
        < 8 11={{id}}|150=8|39=8|103=13|21020=21
        > R 131=QUOTE
        < j 372=R|380=3
        {_OFF}"""),
    "possible-duplicate": (
        "An order sent again under its old number is not entered again",
        f"""{_ON}
        {_NEW}
        seq out=2
        > D 43=Y|122={{time}}|{_ORDER.replace("+id", "id")}
        silence
        seq out=3
        > 1 112=ALIVE
        < 0 112=ALIVE
        {_CANCEL}
        {_OFF}"""),
    "possible-resend": (
        "An order marked as a possible resend is entered only if it is not known",
        f"""{_ON}
        {_NEW}
        > D 97=Y|{_ORDER.replace("+id", "id")}
        < 8 97=Y|11={{id}}|37={{order}}
        > D 97=Y|{_ORDER.replace("+id", "+newer")}
        < 8 11={{newer}}|150=0|39=0
        > F 11={{+last}}|41={{newer}}|55={{symbol}}|54=1|60={{time}}
        < 8 11={{last}}|150=4
        {_CANCEL}
        {_OFF}"""),
    "mass-status": (
        "All open orders are told, and then that there are no more",
        f"""{_ON}
        {_NEW}
        > AF 584={{+all}}|585=7
        until 8 150=I|37={{order}}|151={{quantity}}
        until 8 584={{all}}|912=Y
        {_CANCEL}
        {_OFF}"""),
    "collateral": (
        "Balances are told, then equity and margin",
        f"""{_ON}
        > BB 909={{+money}}
        until BA 909={{money}}|21024={{equity}}|21022={{initial}}|21023={{maintenance}}
        > 1 112=BEHIND
        until 0 112=BEHIND
        {_OFF}"""),
    "security-status": (
        "The state of the instrument is told to who asks",
        f"""{_ON}
        > e 324={{+state}}|263=0|55={{symbol}}
        < f 324={{state}}|55={{symbol}}|326=17
        {_OFF}"""),
    "phase": (
        "The exchange tells its phase to who asks",
        f"{_ON}\n> g 335={{+phase}}|263=0\n< h 335={{phase}}|336=CONTINUOUS|340=2\n{_OFF}"),
    "garbage": (
        "Garbled bytes are skipped and cost no number",
        f"{_ON}\nraw 8=FIX.4.4|9=12|35=0|10=000|\nraw noise\n> 1 112=ON\n< 0 112=ON|34=2\n{_OFF}"),
    "securities": (
        "The list of what can be traded holds the instrument",
        f"""{_ON}
        > x 320={{+list}}|559=0|55={{symbol}}
        < y 320={{list}}|560=0|55={{symbol}}
        {_OFF}"""),
    "preview": (
        "What an order would need is told, and nothing is entered",
        f"""{_ON}
        > U1 21037={{+look}}|55={{symbol}}|54=1|38={{quantity}}|40=2|44={{price}}|60={{time}}
        < U2 21037={{look}}|55={{symbol}}|21020=0
        > U1 21037={{+look}}|55={{symbol}}|54=1|38=0|40=2|44={{price}}|60={{time}}
        < U2 21037={{look}}|21020=21|103=13
        {_OFF}"""),
    "list": (
        "Two orders are entered by one message and summed up",
        f"""{_ON}
        > E 66={{+list}}|394=3|68=2|60={{time}}|73=2|{_FIRST}|{_SECOND}
        < 8 11={{id}}|66={{list}}|150=0
        < 8 11={{other}}|66={{list}}|150=0
        < N 66={{list}}|429=1|431=3|68=2
        > q 11={{+mass}}|530=6|60={{time}}
        < 8 150=4
        < 8 150=4
        < r 11={{mass}}|531=6|533=2
        {_OFF}"""),
    "list-status": (
        "A list is summed up again, then cancelled as a whole",
        f"""{_ON}
        > E 66={{+list}}|394=3|68=2|60={{time}}|73=2|{_FIRST}|{_SECOND}
        < 8 11={{id}}|150=0
        < 8 11={{other}}|150=0
        < N 66={{list}}|429=1
        > M 66={{list}}
        < N 66={{list}}|429=2|431=3
        > K 66={{list}}|60={{time}}
        < 8 150=4|66={{list}}
        < 8 150=4|66={{list}}
        < N 66={{list}}|429=2|431=6
        {_OFF}"""),
    "trades": (
        "Trades after the last one known are asked for, and there are none",
        f"""{_ON}
        > AD 568={{+trades}}|569=0|17=99999999999999
        < AQ 568={{trades}}|748=0|749=0
        {_OFF}"""),
    "kill-switch": (
        "Everything is cancelled and nothing taken until the switch is lifted",
        f"""{_ON}
        {_NEW}
        > DH 2328={{+halt}}|2329=1
        < 8 150=4|37={{order}}
        < DI 2328={{halt}}|2332=1|533=1|21040=5
        > D {_ORDER}
        < 8 11={{id}}|150=8|21020=4
        > DH 2328={{+halt}}|2329=2
        < DI 2328={{halt}}|2332=1|21040=1
        {_OFF}"""),
    "dead-man": (
        "An order goes when the timer isn't set again",
        f"""{_ON}
        {_NEW}
        > U3 21026=300
        < U4 21026=300
        < 8 150=4|37={{order}}|21020=84
        {_OFF}"""),
    "limits": (
        "The throttle is told to who asks",
        f"{_ON}\n> BE 923={{+ask}}|924=5|553=desk\n< BF 923={{ask}}|553=desk\n{_OFF}"),
    "market-data": (
        "A snapshot of the book",
        f"""{_ON}
        > V 262={{+data}}|263=0|264=1|267=2|269=0|269=1|146=1|55={{symbol}}
        < W 262={{data}}|55={{symbol}}
        {_OFF}"""),
}
