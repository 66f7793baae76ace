"""Everything behind the ring: what happens."""
