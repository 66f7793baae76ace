"""Market data: the public books, and the feed from which anyone can rebuild them."""
