"""The margin room: what an account's positions and orders require. `door` is the only way in."""
