"""Engine and model side by side: the same commands, and after each everything must be the same.

    run(seed, 2000)           raises Difference, with the seed and the shortest stream found
"""

from tests.core.engine.exchange import LIMITS
from tests.model.engine import Engine, conserved, crossed, model_picture
from tests.model.exchange import Command, Exchange, Said
from tests.model.stream import Stream

SHRINK_RUNS = 60


class Difference(AssertionError):
    """Where engine and model part."""


def _show(said: Said) -> str:
    return f"{said.session}#{said.number} {said.name} {said.fields}"


def _compare_events(mine: list[Said], theirs: list[Said]) -> None:
    for place in range(max(len(mine), len(theirs))):
        model = mine[place] if place < len(mine) else None
        engine = theirs[place] if place < len(theirs) else None
        if model == engine:
            continue
        if model is None or engine is None or model.name != engine.name:
            raise Difference(
                f"event {place}:\n  model  {_show(model) if model else 'nothing'}\n"
                f"  engine {_show(engine) if engine else 'nothing'}")
        fields = {
            key: (model.fields.get(key, "absent"), engine.fields.get(key, "absent"))
            for key in sorted(model.fields | engine.fields)
            if model.fields.get(key, "absent") != engine.fields.get(key, "absent")
        }
        raise Difference(
            f"event {place} {model.name}, (model, engine): {fields}; to "
            f"{(model.session, engine.session)} as {(model.number, engine.number)}\n"
            f"  model {_show(model)}")


def step(x: Exchange, engine: Engine, command: Command) -> None:
    """One command to both; everything both can see must be the same."""
    mine = x.apply(command)
    try:
        theirs = engine.apply(command)
    except AssertionError as error:
        raise Difference(str(error)) from error
    _compare_events(mine, theirs)
    model, real = model_picture(x), engine.picture()
    for part, values in model.items():
        if values != real[part]:
            keys = {key for key in values.keys() | real[part].keys()
                    if values.get(key) != real[part].get(key)}
            told = {key: (values.get(key), real[part].get(key)) for key in keys}
            raise Difference(f"{part}, (model, engine): {told}")
    if not conserved(x):
        raise Difference("an asset of the model doesn't add up")
    if crossed(x):
        raise Difference(f"crossed: {crossed(x)}")


def replay(commands: list[Command]) -> tuple[int, str]:
    """Run recorded commands: how many went well, and what then went wrong."""
    x, engine = Exchange(LIMITS), Engine()
    try:
        for done, command in enumerate(commands):
            try:
                step(x, engine, command)
            except (AssertionError, KeyError, IndexError) as error:
                return done, f"{type(error).__name__}: {error}"
        return len(commands), ""
    finally:
        engine.close()


def shrink(commands: list[Command], genesis: int) -> list[Command]:
    """Leave out what isn't needed to make the last command fail, in halves, quarters, …"""
    kind = replay(commands)[1][:12]
    size, runs = (len(commands) - genesis) // 2, 0
    while size >= 1 and runs < SHRINK_RUNS:
        place = genesis
        while place < len(commands) - 1 and runs < SHRINK_RUNS:
            fewer = commands[:place] + commands[place + size :]
            runs += 1
            done, error = replay(fewer)
            if error[:12] == kind and done >= genesis:
                commands = fewer[: done + 1]
            else:
                place += size
        size //= 2
    return commands


def run(seed: int, count: int) -> int:
    """A seed's stream through both; how many commands there were."""
    x, engine = Exchange(LIMITS), Engine()
    stream = Stream(seed, x)
    commands: list[Command] = []
    try:
        for command in stream.found():
            commands.append(command)
            step(x, engine, command)
        genesis = len(commands)
        for _ in range(count):
            commands.append(stream.next())
            step(x, engine, commands[-1])
    except Difference as error:
        first = shrink(commands, genesis) if len(commands) > genesis else commands
        rest = "\n".join(f"  {c.session} {c.name} {c.fields}" for c in first[genesis:][-25:])
        raise Difference(
            f"seed {seed}, command {len(commands)}, time {commands[-1].time}\n{error}\n"
            f"shortest stream found ({len(first) - genesis} after genesis):\n{rest}\n"
            f"{replay(first)[1]}") from error
    finally:
        engine.close()
    return len(commands)
