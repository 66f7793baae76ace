"""Everything that drives, watches and measures the exchange; imported by nobody."""
