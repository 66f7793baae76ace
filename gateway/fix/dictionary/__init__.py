"""What may stand in a FIX message, as tables: fields, messages, and what judges by them.

    fields ─┐
            ├─ messages ─── validate (an inbound message against the tables)
            │          └─── xml      (the same tables as a QuickFIX data dictionary)
"""
