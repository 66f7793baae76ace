"""Settlement: cycles and funding, custody, and the books that prove the core right."""
