"""A day of trading in a minute: the whole exchange, its clients and its troubles on one screen."""
