"""Risk parameters as state: what they are, and who may change them when."""
