"""An engine with an entry point that points to a dictionary."""

ENGINE = {"open": "rrr_odd_engine:open"}
