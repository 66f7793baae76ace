"""Recorded order-by-order data through the real core; see `tools.commands.replay`."""
