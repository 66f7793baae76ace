"""Who wants to be told of money that comes to an account or leaves it (BB with 263=1)."""

from gateway.fix.session import Session

SUBSCRIBE, UNSUBSCRIBE = "1", "2"


class Balances:
    """Watchers by account."""

    def __init__(self) -> None:
        self._watchers: dict[int, set[Session]] = {}

    @property
    def listening(self) -> bool:
        """Whether anybody watches."""
        return any(self._watchers.values())

    def ask(self, session: Session, account: int, how: str) -> None:
        """Subscribe, unsubscribe, or neither."""
        watchers = self._watchers.setdefault(account, set())
        if how == SUBSCRIBE:
            watchers.add(session)
        elif how == UNSUBSCRIBE:
            watchers.discard(session)

    def forget(self, session: Session) -> None:
        """The session is gone."""
        for watchers in self._watchers.values():
            watchers.discard(session)

    def watchers(self, account: int) -> list[Session]:
        """Who watches an account, in a steady order."""
        return sorted(self._watchers.get(account, ()), key=lambda session: session.id)
