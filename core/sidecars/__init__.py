"""Processes beside the core: they follow events and propose commands."""
