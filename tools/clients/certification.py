"""Runs what a desk certifies: scenarios of steps, each with the one answer that lets it pass."""

from dataclasses import dataclass, field

from tools.clients.fix_desk import FixDesk, Unexpected, run_step
from tools.clients.scenarios import SCENARIOS


@dataclass
class Step:
    """One step and how it went: passed, failed, or not reached."""

    text: str
    status: str = "not reached"
    log: list[str] = field(default_factory=list)
    reason: str = ""


@dataclass
class Case:
    """One scenario."""

    name: str
    title: str
    steps: list[Step]

    @property
    def passed(self) -> bool:
        """Whether every step came out as it had to."""
        return all(step.status == "passed" for step in self.steps)


def certify(desk: FixDesk, name: str, choices: dict[str, str]) -> Case:
    """Run one scenario on a connection of its own; never raises for what the exchange does."""
    title, text = SCENARIOS[name]
    case = Case(name, title, [Step(line.strip()) for line in text.splitlines() if line.strip()])
    desk.names = dict(choices)
    for step in case.steps:
        begin = len(desk.transcript)
        # An answer's names are learnt afresh: the order of this scenario, not of the last.
        if step.text.startswith("< 8") and "{order}" in step.text and "150=0" in step.text:
            desk.names.pop("order", None)
        try:
            run_step(desk, step.text)
            step.status = "passed"
        except Unexpected as error:
            step.status, step.reason = "failed", str(error)
        step.log = desk.transcript[begin:]
        if step.status == "failed":
            break
    desk.drop()
    return case


def markdown(cases: list[Case]) -> str:
    """A report for people."""
    passed = sum(case.passed for case in cases)
    lines = [f"# FIX certification: {passed} of {len(cases)} scenarios passed", ""]
    lines += ["| scenario | | |", "|---|---|---|"]
    lines += [f"| {c.name} | {'passed' if c.passed else '**failed**'} | {c.title} |" for c in cases]
    for case in cases:
        lines += ["", f"## {case.name}", "", case.title, ""]
        for number, step in enumerate(case.steps, 1):
            lines.append(f"{number}. `{step.text}`: {step.status}"
                         + (f" ({step.reason})" if step.reason else ""))
            lines += [f"   - `{entry}`" for entry in step.log]
    return "\n".join(lines) + "\n"
