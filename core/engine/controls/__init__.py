"""Controls on who may trade what, how much and how fast, and the switch that stops it."""
