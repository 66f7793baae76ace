"""What an operator does to a running exchange: keyed commands, and the core's answers."""
