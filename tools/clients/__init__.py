"""Clients of the exchange: what a desk would start from."""
