"""Which sessions are told what happens to an account without their asking."""

from core.jit import jit


@jit
def next_session(s, account, after):
    """The next session of the account's owner that acts for it, 0 when there is none."""
    owner = s.accounts[account].owner
    for number in range(after + 1, len(s.sessions)):
        session = s.sessions[number]
        acts = session.account == 0 or session.account == account
        if session.registered != 0 and session.owner == owner and acts:
            return number
    return 0
