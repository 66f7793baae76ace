"""Accounts below their maintenance margin: finding them, closing them, who bears the loss."""
