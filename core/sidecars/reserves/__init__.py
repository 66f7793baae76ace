"""Reserves: proof, to each customer, that what the exchange owes is there."""
