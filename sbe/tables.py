"""The tables of messages in this folder's README, made from the schemas.

`python -m sbe.generate` rewrites what stands between the marks of a schema, and a test holds it.
"""

from __future__ import annotations

import re

from sbe.layout import Block, Schema

_BEGIN, _END = "<!-- messages of {} -->", "<!-- end of {} -->"


def table(schema: Schema) -> str:
    """One row a message: template, name, bytes of its root block, what it says, its elements."""
    rows = ["| | message | bytes | what it says | fields |", "|---|---|---|---|---|"]
    for message in schema.messages:
        says = message.description.replace("|", "\\|")
        row = f"| {message.id} | `{message.name}` | {message.block_length} | {says} "
        rows.append(f"{row}| {elements(message)} |")
    return "\n".join(rows)


def elements(block: Block) -> str:
    """Names of fields, groups with their own in brackets, and data with an ellipsis."""
    names = [field.name for field in block.fields]
    names += [f"{group.name}\u00a0[{elements(group)}]" for group in block.groups]
    names += [f"{data.name}…" for data in block.data]
    return ", ".join(names)


def renew(text: str, name: str, schema: Schema) -> str:
    """The README with the table of one schema made anew; unchanged where it has no marks."""
    begin, end = _BEGIN.format(name), _END.format(name)
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    return pattern.sub(lambda _: f"{begin}\n{table(schema)}\n{end}", text)
