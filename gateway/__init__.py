"""Bytes from clients to commands, and events back to bytes."""
