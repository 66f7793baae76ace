"""Small real processes for the tests of the supervisor."""
