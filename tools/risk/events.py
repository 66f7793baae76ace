"""An event as a source of loss: its outcomes, how likely each is thought, and what each costs.

The marks are the probabilities: exactly where the event's structure allows, else the distribution
over its vertices whose mean is nearest to them. Then the assumptions: a least probability, a model
error against the account, and the chance of a resolution that pays the hull's point at the marks.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from core.margin_reference.case import Group
from tools.risk.assumptions import Assumptions
from tools.risk.component import EVENTS, Array, Component, floats

MISRESOLVED = "resolved to the marks"
_STEPS = 20_000


def outcome_names(group: Group) -> list[str]:
    """A name for each vertex: the outcomes that pay in it, with their share if it isn't all."""
    names = []
    for vertex in group.vertices:
        paid = [
            outcome.name if share == 1 else f"{outcome.name} {float(share):g}"
            for outcome, share in zip(group.outcomes, vertex, strict=True) if share
        ]
        names.append(" + ".join(paid) if paid else "none")
    return names


def implied(group: Group) -> Array:
    """Probabilities of the vertices as the marks have them: their mean is the marks, or nearest.

    Euclidean projection onto the hull, by the away-step-free Frank–Wolfe method with exact line
    search; where every outcome has a vertex of its own it is solved in closed form.
    """
    marks = floats(outcome.mark for outcome in group.outcomes)
    vertices = np.array([floats(vertex) for vertex in group.vertices])
    closed = _closed(marks, group.vertices)
    if closed is not None:
        return closed
    weights = np.full(len(vertices), 1 / len(vertices))
    for _ in range(_STEPS):
        gradient = vertices @ (weights @ vertices - marks)
        best = int(np.argmin(gradient))
        step = vertices[best] - weights @ vertices
        gain = float((marks - weights @ vertices) @ step)
        if gain <= 1e-15:
            break
        share = min(1.0, gain / float(step @ step))
        weights = (1 - share) * weights
        weights[best] += share
    return weights


def _closed(marks: Array, vertices: Sequence[tuple[Fraction, ...]]) -> Array | None:
    """Where each vertex pays one outcome or none, or one more than the vertex before it."""
    sums = [sum(vertex) for vertex in vertices]
    count = len(marks)
    if all(s in (0, 1) and set(v) <= {0, 1} for s, v in zip(sums, vertices, strict=True)):
        paid = np.array([marks[v.index(1)] if s else 0.0
                         for s, v in zip(sums, vertices, strict=True)])  # fmt: skip
        rest = max(0.0, 1 - float(paid.sum())) if 0 in sums else 0.0
        paid += np.array([rest if s == 0 else 0.0 for s in sums])
        total = float(paid.sum())
        return paid / total if total > 0 else np.full(len(vertices), 1 / len(vertices))
    nested = [tuple(Fraction(int(i < j)) for i in range(count)) for j in range(count + 1)]
    if list(vertices) == nested:
        falling = np.minimum.accumulate(marks)
        return -np.diff(np.concatenate([[1.0], falling, [0.0]]))
    return None


def component(group: Group, assumptions: Assumptions) -> tuple[Component, tuple[str, ...]]:
    """The event as atoms, the account's worst first, and the name of each."""
    quantities = floats(outcome.quantity for outcome in group.outcomes)
    marks = floats(outcome.mark for outcome in group.outcomes)
    vertices = np.array([floats(vertex) for vertex in group.vertices])
    likely = implied(group)
    at_marks = likely @ vertices
    losses = quantities * (marks - vertices)
    order = np.argsort(-losses.sum(axis=1), kind="stable")
    names = [outcome_names(group)[i] for i in order]
    losses, likely = losses[order], judged(likely[order], assumptions)
    if assumptions.misresolution > 0:
        likely = likely * (1 - assumptions.misresolution)
        wrong = quantities * (marks - at_marks)
        place = int(np.searchsorted(-losses.sum(axis=1), -wrong.sum()))
        losses = np.insert(losses, place, wrong, axis=0)
        likely = np.insert(likely, place, assumptions.misresolution)
        names.insert(place, MISRESOLVED)
    rho = assumptions.rho_of.get(group.name, assumptions.rho)
    held = tuple(f"{group.name}:{outcome.name}" for outcome in group.outcomes)
    return Component(group.name, EVENTS, held, losses, likely, rho), tuple(names)


def judged(likely: Array, assumptions: Assumptions) -> Array:
    """Probabilities, worst outcome first, with the least one and the model error against them."""
    if len(likely) == 1:
        return likely
    least = min(assumptions.probability_min, 1 / len(likely))
    floored = np.maximum(likely, least)
    above = floored - least
    room = 1 - least * len(likely)
    spread = above / above.sum() if above.sum() > 0 else np.full(len(likely), 1 / len(likely))
    floored = least + room * spread
    moved = min(assumptions.model_error, float(floored[-1]) - least)
    floored[0] += moved
    floored[-1] -= moved
    return np.asarray(floored)
