"""The binary gateway: SBE over TCP, from socket to ring and from event log to socket."""
