"""Market abuse, looked for in the order record: one idea a module."""
