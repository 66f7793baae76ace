"""UPM-1 in plain Python and exact fractions: the margin model as any customer can run and check it.

    case.py    a case file: read, every field judged
    links.py   a price link: what it pays, what it would be worth in a scenario
    unit.py    an underlying: scan, stand, size, spot, hedge, borrow, cap, floor
    group.py   an event: the exact worst case over its vertices
    account.py equity, initial and maintenance requirement, with every component

It imports nothing of the core, on purpose: two implementations that agree are evidence, one that
calls the other is not. `onebook margin FILE.json --reference` runs it.
"""
