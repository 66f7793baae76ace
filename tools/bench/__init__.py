"""Measurements: each module measures one thing beside a baseline timed in the same run."""
