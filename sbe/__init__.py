"""Simple Binary Encoding: any schema, checked, compiled to numba accessors, or spoken in dicts.

`schema/*.xml` is the single source of truth of every message of Onebook. The way of a schema:

    document (XML with lines) -> parser (rules) -> layout (resolved) -> generate (numba source)
                                                                     -> codec    (dicts)

This package imports nothing of ours, and importing it imports no numba.
"""
