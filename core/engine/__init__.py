"""The deterministic engine: compiled, without clock, input or output."""
