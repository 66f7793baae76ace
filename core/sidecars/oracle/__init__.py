"""Oracle: indices and marks from several sources, and outcomes nobody can dictate alone."""
