"""Value at risk and expected shortfall of an account, with binary outcomes and with prices."""
