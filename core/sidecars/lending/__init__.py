"""Lending: what a pool's money costs, and how its two indices move."""
