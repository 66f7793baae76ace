"""The messages: which fields they have, which of them must be there, and the repeating groups.

One block a message: `Type Name direction` and then its fields by name; `!` marks a required one,
`Group(first, second, …)` a repeating group by its count field. Directions: `in` from clients,
`out` to them, `both`; `none`: its form is judged, but it isn't offered.
"""

import re
from typing import NamedTuple

from gateway.fix.dictionary.fields import BY_NAME

_PARTIES = "NoPartyIDs(PartyID, PartyIDSource, PartyRole, " \
    "NoPartySubIDs(PartySubID, PartySubIDType))"
_SESSIONS = "NoTradingSessions(TradingSessionID, TradingSessionSubID)"
_INSTRUMENT = "Symbol! SecurityID SecurityIDSource SecurityType SecurityExchange CFICode Product " \
    "MaturityMonthYear MaturityDate StrikePrice PutOrCall ContractMultiplier SecurityDesc " \
    "NoSecurityAltID(SecurityAltID, SecurityAltIDSource)"
_ORDER = f"Account {_PARTIES} HandlInst ExecInst MaxFloor DisplayQty ExDestination {_SESSIONS} " \
    f"{_INSTRUMENT} Side! TransactTime! OrderQty OrdType! Price StopPx Currency TimeInForce " \
    "ExpireTime SecondaryClOrdID OrderCapacity CustOrderCapacity AccountType Text SettlType " \
    "SettlDate LocateReqd SelfMatchPreventionID SelfMatchPreventionInstruction OutcomeSide " \
    "TriggerPriceType TriggerSource MinQty " \
    "NoAllocs(AllocAccount, AllocAcctIDSource, IndividualAllocID, AllocQty)"
_LISTED = "ClOrdID!, ListSeqNo!, Account, HandlInst, ExecInst, MaxFloor, DisplayQty, Symbol!, " \
    "Side!, TransactTime, OrderQty!, OrdType!, Price, StopPx, TimeInForce, ExpireTime, " \
    "SecondaryClOrdID, SelfMatchPreventionInstruction, OutcomeSide, TriggerSource, MinQty"
_LISTING = "Symbol! SecurityID SecurityIDSource SecurityType SecurityDesc Currency " \
    "MinPriceIncrement LotSize MinTradeVol MaxTradeVol MaturityDate StrikePrice LowerStrike " \
    "UpperStrike ExpireTime InstrumentKind TradingState EventID EventStructure RulesHash " \
    "TitleText UnderlyingSymbol"

HEADER = "BeginString! BodyLength! MsgType! SenderCompID! TargetCompID! MsgSeqNum! SendingTime! " \
    "OnBehalfOfCompID DeliverToCompID SecureDataLen SecureData SenderSubID SenderLocationID " \
    "TargetSubID TargetLocationID OnBehalfOfSubID OnBehalfOfLocationID DeliverToSubID " \
    "DeliverToLocationID PossDupFlag PossResend OrigSendingTime MessageEncoding " \
    "LastMsgSeqNumProcessed ApplVerID CstmApplVerID ApplExtID"
TRAILER = "SignatureLength Signature CheckSum!"

_MESSAGES = f"""
0 Heartbeat both
  TestReqID
1 TestRequest both
  TestReqID!
2 ResendRequest both
  BeginSeqNo! EndSeqNo!
3 Reject both
  RefSeqNum! RefTagID RefMsgType SessionRejectReason Text EncodedTextLen EncodedText
4 SequenceReset both
  GapFillFlag NewSeqNo!
5 Logout both
  SessionStatus Text EncodedTextLen EncodedText NextExpectedMsgSeqNum ReasonCode
A Logon both
  EncryptMethod! HeartBtInt! RawDataLength RawData ResetSeqNumFlag NextExpectedMsgSeqNum
  MaxMessageSize TestMessageIndicator Username Password DefaultApplVerID SessionStatus Text
  CancelOnDisconnect
B News out
  OrigTime Urgency Headline! NoRelatedSym(Symbol) NoLinesOfText!(Text)
C Email none
  EmailThreadID! EmailType! Subject! OrigTime
  NoRelatedSym(Symbol, SecurityID, NoEvents(EventType, EventDate, EventText))
  NoLinesOfText!(Text, EncodedTextLen, EncodedText)
D NewOrderSingle in
  ClOrdID! {_ORDER}
F OrderCancelRequest in
  ClOrdID! OrigClOrdID OrderID Account {_PARTIES} {_INSTRUMENT} Side! TransactTime! OrderQty
  SecondaryClOrdID Text
G OrderCancelReplaceRequest in
  ClOrdID! OrigClOrdID OrderID {_ORDER}
E NewOrderList in
  ListID! BidType! ListExecInstType TotNoOrders! TransactTime Text NoOrders!({_LISTED})
K ListCancelRequest in
  ListID! TransactTime! Text
M ListStatusRequest in
  ListID! Text
N ListStatus out
  ListID! ListStatusType! NoRpts! ListOrderStatus! RptSeq! ListStatusText TransactTime TotNoOrders!
  LastFragment NoOrders(ClOrdID, CumQty, OrdStatus, LeavesQty, CxlQty, AvgPx, OrdRejReason, Text)
H OrderStatusRequest in
  ClOrdID OrderID OrdStatusReqID Account {_PARTIES} {_INSTRUMENT} Side TransactTime
AF OrderMassStatusRequest in
  MassStatusReqID! MassStatusReqType! Account Symbol {_PARTIES}
q OrderMassCancelRequest in
  ClOrdID! MassCancelRequestType! Account Symbol UnderlyingSymbol Side TransactTime! CFICode Text
  InstrumentKind {_PARTIES}
r OrderMassCancelReport out
  ClOrdID OrderID! Account MassCancelRequestType! MassCancelResponse! MassCancelRejectReason
  TotalAffectedOrders Symbol TransactTime Text ReasonCode
8 ExecutionReport out
  OrderID! ClOrdID Account SecondaryClOrdID ListID OrigClOrdID ExecID! ExecType! OrdStatus! Symbol!
  OutcomeSide Side! OrderQty OrdType Price StopPx TimeInForce ExpireTime ExecInst DisplayQty LastQty
  LastPx TrdMatchID LastLiquidityInd Commission CommType CommCurrency LeavesQty! CumQty! AvgPx!
  TransactTime ExecRestatementReason ReasonCode OrdRejReason Text OrdStatusReqID MassStatusReqID
  TotNumReports LastRptRequested
9 OrderCancelReject out
  OrderID! ClOrdID! OrigClOrdID Account SecondaryClOrdID ListID OrdStatus! CxlRejResponseTo!
  CxlRejReason TransactTime ReasonCode Text
j BusinessMessageReject out
  RefSeqNum RefMsgType! BusinessRejectRefID BusinessRejectReason! Text ReasonCode RefApplVerID
  DefaultApplVerID
V MarketDataRequest in
  MDReqID! SubscriptionRequestType! MarketDepth! MDUpdateType AggregatedBook
  NoMDEntryTypes!(MDEntryType) NoRelatedSym!(Symbol, SecurityID, SecurityIDSource, SecurityType)
  ConflationMilliseconds
W MarketDataSnapshotFullRefresh out
  MDReqID Symbol! TradingState
  NoMDEntries!(MDEntryType, MDEntryPx, MDEntrySize, MDEntryDate, MDEntryTime, MDEntryPositionNo,
  PriceSource)
X MarketDataIncrementalRefresh out
  MDReqID NoMDEntries!(MDUpdateAction, MDEntryType, MDEntryID, Symbol, MDEntryPx, MDEntrySize,
  MDEntryDate, MDEntryTime, MDEntryPositionNo, Side, PriceSource)
Y MarketDataRequestReject out
  MDReqID! MDReqRejReason Text
x SecurityListRequest in
  SecurityReqID! SecurityListRequestType! Symbol SecurityType SubscriptionRequestType
y SecurityList out
  SecurityReqID! SecurityResponseID! SecurityRequestResult! TotNoRelatedSym LastFragment
  NoRelatedSym({_LISTING.replace("!", "").replace(" ", ", ")})
c SecurityDefinitionRequest in
  SecurityReqID! SecurityRequestType! Symbol SecurityType SubscriptionRequestType
d SecurityDefinition out
  SecurityReqID! SecurityResponseID! SecurityResponseType! {_LISTING} Text
e SecurityStatusRequest in
  SecurityStatusReqID! SubscriptionRequestType! Symbol!
f SecurityStatus out
  SecurityStatusReqID Symbol! SecurityTradingStatus TradingState LastPx SettlPrice Text TransactTime
g TradingSessionStatusRequest in
  TradSesReqID! TradingSessionID SubscriptionRequestType!
h TradingSessionStatus out
  TradSesReqID TradingSessionID! TradSesStatus! Text
AN RequestForPositions in
  PosReqID! PosReqType! Account! AccountType ClearingBusinessDate TransactTime! {_PARTIES}
  SubscriptionRequestType
AO RequestForPositionsAck out
  PosMaintRptID! PosReqID TotalNumPosReports PosReqResult! PosReqStatus! Account! Text ReasonCode
AP PositionReport out
  PosMaintRptID! PosReqID PosReqType PosReqResult! ClearingBusinessDate! Account! Symbol Currency
  SettlPrice! SettlPriceType! PriorSettlPrice NoPositions(PosType, LongQty, ShortQty, PosQtyStatus)
  NoPosAmt(PosAmtType, PosAmt) Text MarketSettlementReportID
BB CollateralInquiry in
  CollInquiryID Account {_PARTIES} SubscriptionRequestType
BA CollateralReport out
  CollRptID! CollInquiryID CollStatus! TotNumReports LastRptRequested Account TransactTime
  TotalNetValue MarginExcess CashOutstanding Equity InitialMargin MaintenanceMargin MarginLevel
  BalanceReason Borrowed Lent Earned
  NoCollateralAmounts(CurrentCollateralAmount, CollateralCurrency) Text
AY CollateralAssignment in
  CollAsgnID! CollAsgnReason! CollAsgnTransType! TransactTime! Account ToAccount Destination
  NoCollateralAmounts!(CurrentCollateralAmount!, CollateralCurrency!) Text
AZ CollateralResponse out
  CollRespID! CollAsgnID CollAsgnReason CollAsgnTransType CollAsgnRespType! CollAsgnRejectReason
  TransactTime! Account ToAccount Destination WithdrawalState EffectiveFrom
  NoCollateralAmounts(CurrentCollateralAmount, CollateralCurrency) ReasonCode Text
AD TradeCaptureReportRequest in
  TradeRequestID! TradeRequestType! SubscriptionRequestType TradeReportID OrderID ClOrdID ExecID
  Account Symbol NoDates(TradeDate, TransactTime) Text
AQ TradeCaptureReportRequestAck out
  TradeRequestID! TradeRequestType! SubscriptionRequestType TotNumTradeReports TradeRequestResult!
  TradeRequestStatus! Symbol Text
AE TradeCaptureReport out
  TradeReportID! TradeRequestID ExecType TotNumTradeReports LastRptRequested PreviouslyReported!
  ExecID Symbol! LastQty! LastPx! TradeDate! TransactTime! TrdMatchID OutcomeSide
  NoSides!(Side!, OrderID!, ClOrdID, SecondaryClOrdID, Account, CommType, Commission, CommCurrency,
  LastLiquidityInd)
BE UserRequest in
  UserRequestID! UserRequestType! Username!
BF UserResponse out
  UserRequestID! Username! UserStatus UserStatusText NoThrottles(ThrottleAction, ThrottleType,
  ThrottleNoMsgs, ThrottleTimeInterval, ThrottleTimeUnit, ThrottleRemaining)
DH PartyActionRequest in
  PartyActionRequestID! PartyActionType! Account TransactTime Text
DI PartyActionReport out
  PartyActionReportID! PartyActionRequestID PartyActionType! PartyActionResponse!
  PartyActionRejectReason Account TransactTime TotalAffectedOrders AccountState ReasonCode Text
U1 OrderPreviewRequest in
  PreviewID! {_ORDER}
U2 OrderPreview out
  PreviewID! Account Symbol! Price OrderValue EstimatedFee Borrowed Equity InitialMargin
  MaintenanceMargin InitialMarginAfter MaintenanceMarginAfter MarginExcess TransactTime! ReasonCode
  OrdRejReason Text
U3 CancelTimerRequest in
  CancelTimerMilliseconds! Account TransactTime
U4 CancelTimerReport out
  CancelTimerMilliseconds! Account! TransactTime!
U5 WithdrawalRuleRequest in
  WithdrawalRuleID! WithdrawalRuleAction! Account Destination WithdrawalDelaySeconds TransactTime
U6 WithdrawalRuleReport out
  WithdrawalRuleID WithdrawalRuleAction! Account! Destination WithdrawalDelaySeconds ListHolds
  DestinationsListed EffectiveFrom TransactTime! ReasonCode Text
U7 ClientProtectionRequest in
  ProtectionID! ProtectionAction! Account ExcludedUntil ProtectionAmount TransactTime
U8 ClientProtectionReport out
  ProtectionID ProtectionAction! Account! ExcludedUntil DailyLossLimit DailyDepositLimit
  EffectiveFrom TransactTime! ReasonCode Text
i MassQuote in
  QuoteID! Account QuoteResponseLevel DefBidSize ResetProtection {_PARTIES}
  NoQuoteSets!(QuoteSetID, UnderlyingSymbol, TotNoQuoteEntries, NoQuoteEntries(QuoteEntryID,
  Symbol, BidPx, OfferPx, BidSize, OfferSize, TransactTime))
b MassQuoteAcknowledgement out
  QuoteID QuoteStatus! QuoteRejectReason QuoteResponseLevel Account Text ReasonCode
  NoQuoteSets(QuoteSetID, NoQuoteEntries(QuoteEntryID, Symbol, QuoteRejectReason, ReasonCode, Text))
Z QuoteCancel in
  QuoteID! QuoteCancelType! Account NoQuoteEntries(Symbol)
"""

ADMIN = frozenset("012345A")
_TOKEN = re.compile(r"(\w+)(!?)|([(),])")


class Member(NamedTuple):
    """A field in a message or group; a count field carries its group's members."""

    tag: int
    required: bool
    group: "tuple[Member, ...]" = ()


class Layout(NamedTuple):
    """One message type."""

    kind: str
    name: str
    direction: str
    members: tuple[Member, ...]

    def tags(self) -> frozenset[int]:
        """All tags that may stand in it, those of groups included."""
        return frozenset(_tags(self.members))


def _tags(members: tuple[Member, ...]) -> list[int]:
    found = []
    for member in members:
        found += [member.tag, *_tags(member.group)]
    return found


def _members(tokens: list[re.Match[str]]) -> tuple[Member, ...]:
    found: list[Member] = []
    while tokens:
        token = tokens.pop(0)
        if token[3] == ")":
            break
        if token[3] == "(":
            found[-1] = found[-1]._replace(group=_members(tokens))
        elif token[1]:
            found.append(Member(BY_NAME[token[1]].tag, bool(token[2])))
    return tuple(found)


def read(text: str) -> tuple[Member, ...]:
    """The members a line of the table names."""
    return _members(list(_TOKEN.finditer(text)))


def _read_all() -> dict[str, Layout]:
    found = {}
    for block in re.split(r"\n(?=\S)", _MESSAGES.strip()):
        head, _, fields = block.partition("\n")
        kind, name, direction = head.split()
        found[kind] = Layout(kind, name, direction, read(fields))
    return found


HEADER_MEMBERS = read(HEADER)
TRAILER_MEMBERS = read(TRAILER)
HEADER_TAGS = frozenset(member.tag for member in HEADER_MEMBERS)
TRAILER_TAGS = frozenset(member.tag for member in TRAILER_MEMBERS)
MESSAGES: dict[str, Layout] = _read_all()
INBOUND: dict[str, Layout] = {
    kind: layout for kind, layout in MESSAGES.items() if layout.direction != "out"
}


def is_message_type(kind: str) -> bool:
    """Whether the standard (FIX 4.4, and the two-letter types of 5.0 SP2) has such a type."""
    if kind in MESSAGES:
        return True
    return re.fullmatch(r"[0-9A-Za-z]|[A-D][A-Z]", kind) is not None
