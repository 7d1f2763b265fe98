"""An engine whose entry point leads to a dictionary."""

ENGINE = {"open": "rrr_odd_engine:open"}
