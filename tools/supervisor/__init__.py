"""Starting, watching and stopping the processes of an exchange.

    place       where it runs: data, run directory, shared memory, ports; who is in the way
    warm        compiles on the first start, with visible progress
    processes   the table of processes: in which order they start and stop
    child       one process: its states, its back-off
    supervisor  all of them
    genesis     tells an empty core the venue that the configuration describes
    exchange    `onebook up` as a child of another program: the demo, the tests
"""
