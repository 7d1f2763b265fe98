"""Planning: what a run will take (tokens, hours, memory, disk, money) before it is started, and what fits."""
