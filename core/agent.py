"""Every process is an agent, run by one of three schedulers that it cannot tell apart.

    busy       poll for ever, a processor each                run_agent(agent, Spin(), stop)
    adaptive   poll, and sleep when there is nothing to do    run_agent(agent, Adaptive(…), stop)
    step       a test polls all agents by hand, in one process, in an order of its choice

Clock and transport are handed to an agent when it is made, so what runs in production is what a
simulation runs.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from core.idle import Idle


class Agent(Protocol):
    """Something with work to do, from time to time."""

    def poll(self) -> int:
        """Do what there is to do, without waiting; how much that was, 0 for nothing."""


class Stop(Protocol):
    """Who knows whether to go on; core/process.py's Process is one."""

    @property
    def stopping(self) -> bool:
        """Whether the agent is to stop after the poll it is in."""


class StopFlag:
    """A `Stop` for tests and tools: one attribute to set."""

    def __init__(self) -> None:
        self.stopping = False


def run_agent(agent: Agent, idle: Idle, stop: Stop) -> int:
    """Poll until asked to stop; the work done. An exception of the agent ends it and passes on."""
    done = 0
    try:
        while not stop.stopping:
            work = agent.poll()
            done += work
            idle.idle(work)
    finally:
        idle.close()
    return done


def step(agents: Sequence[Agent]) -> int:
    """Poll each agent once, in the order given; the work done."""
    return sum(agent.poll() for agent in agents)


def run_until_quiet(agents: Sequence[Agent], rounds_max: int = 10_000) -> int:
    """Poll all agents until a whole round finds nothing to do; the work done.

    Raises RuntimeError if they are still busy after `rounds_max` rounds.
    """
    done = 0
    for _ in range(rounds_max):
        work = step(agents)
        if work == 0:
            return done
        done += work
    raise RuntimeError(f"agents never came to rest: rounds={rounds_max} work={done}")


def run_until(
    agents: Sequence[Agent], reached: Callable[[], bool], rounds_max: int = 10_000
) -> None:
    """Poll all agents until `reached()`. Raises RuntimeError after `rounds_max` rounds."""
    for _ in range(rounds_max):
        if reached():
            return
        step(agents)
    raise RuntimeError(f"agents never got there: rounds={rounds_max}")
