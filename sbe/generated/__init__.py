"""Written by `python -m sbe.generate` from sbe/schema/*.xml: one module a schema."""
