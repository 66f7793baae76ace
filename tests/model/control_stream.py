"""Random commands of the controls, for the runs that have them."""

from typing import TYPE_CHECKING

from tests.model.exchange import Command

if TYPE_CHECKING:
    from tests.model.stream import Stream

SECOND_NS = 10**9
SPOT, PERPETUAL, OUTCOME = 1, 2, 3
OWNERS = range(100, 105)


def control(stream: "Stream") -> Command:
    """A control set or lifted; what was switched off goes on again soon."""
    dice = stream.below(10)
    if dice < 5 and stream.killed:
        level, subject = stream.killed.pop()
        return stream.keyed("SetKillSwitch", level=level, subject=subject, active=0)
    if dice < 5:
        level = 1 + stream.below(5)
        subject = int({1: stream.pick(OWNERS), 2: 1 + stream.below(len(OWNERS)),
                       3: stream.pick(stream.theme), 4: 1 + stream.below(6), 5: 0}[level])
        stream.killed.append((level, subject))
        return stream.keyed("SetKillSwitch", level=level, subject=subject, active=1)
    if dice < 7:
        value = stream.pick([0, 5 * 10**6, 10**8])
        return stream.keyed(
            "SetOrderLimits", account=stream.pick([0, *stream.accounts]), value=value,
            openOrders=stream.pick([0, 6]), dailyValue=value * 40, burst=stream.below(4),
            perSecond=stream.pick([0, 5]), pauseMilliseconds=stream.pick([0, 700]),
            orderToTrade=stream.pick([0, 0, 3]), freeOrders=stream.pick([0, 8]),
            executions=stream.pick([0, 0, 2, 4]), executionSeconds=stream.below(3),
            volumeShare=stream.pick([0, 0, 50_000, 2_000_000]), volumeFree=stream.pick([0, 10**7]))
    if dice == 7 and stream.chance(0.3):
        return stream.client(
            "ClientProtectionRequest", stream.pick(stream.accounts), requestId=stream.below(99),
            until=stream.pick([None, stream.time, stream.time + stream.below(3) * SECOND_NS]),
            amount=stream.pick([-1, 0, 10**9, 10**11]), action=stream.pick([1, 3, 3]), echo=b"")
    if dice == 7 and stream.chance(0.3):
        return stream.keyed("SetMarketConflict", owner=stream.pick(OWNERS),
                            event=1 + stream.below(2), active=int(stream.chance(0.4)))
    if dice == 7 and stream.chance(0.3):
        return stream.keyed("SetEventDispute", event=1 + stream.below(3),
                            active=int(stream.chance(0.6)))
    if dice == 7 and stream.chance(0.4):
        until = stream.time + stream.below(4) * SECOND_NS
        return stream.keyed("SetClientProtection", owner=stream.pick(OWNERS), dailyLoss=0,
                            dailyDeposits=stream.pick([0, 0, 10**10]),
                            excludedUntil=stream.pick([None, until, until]))
    if dice == 7:
        caps = dict.fromkeys(("betaStart", "notionalCap", "notionalRamp", "equityCap",
                              "lossCap", "interestCap", "beta"), 0)
        return stream.keyed("SetControls", gating=stream.below(2), **caps)
    if dice == 8 and stream.chance(0.6):
        return risk(stream)
    if dice == 8:
        return stream.keyed("SetGate", place=stream.below(4), decision=stream.pick([0, 1, 2, 3, 3]),
                          country=stream.below(2), licence=0, clientClass=stream.below(2),
                          kind=stream.pick([0, 0, SPOT, PERPETUAL, OUTCOME]))
    until = stream.time + 5 * SECOND_NS if stream.chance(0.2) else None
    return stream.keyed("SetOwnerProfile", owner=stream.pick(OWNERS), country=stream.below(2),
                      licence=0, clientClass=stream.below(2), invited=0, validUntil=until)


def risk(stream: "Stream") -> Command:
    """A cap set or lifted."""
    parameter = stream.pick((46, 47, 48, 48, 34, 35))
    scope = stream.pick(stream.theme) if parameter < 40 else 1 + stream.below(2)
    value = stream.pick({
        46: (0, 10**6, 10**10, 10**12), 47: (0, 10**8, 10**12), 48: (0, 1, 5_000, 200_000),
        34: (0, 1, 300_000, 900_000), 35: (0, 5, 40),
    }[parameter])
    return stream.keyed("SetRiskParameter", parameter=parameter, scope=scope, value=value, role=1,
                        signer=0, validUntil=0, signature=bytes(64))
