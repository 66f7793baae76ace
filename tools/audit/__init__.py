"""The order record: journal and event archive as tables that can be asked."""
