"""The FIX gateway: tag=value over TCP, from socket to ring and from event log to socket."""
