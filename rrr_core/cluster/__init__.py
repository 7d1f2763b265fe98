"""Mining and evaluation by actors on other machines: shards go out as JSON text, and records come back as JSON text.

`driver` hands out the shards and counts deaths, `actor` is what works on another machine, `pool` says what the driver
asks of a cluster, and `on_ray` is the one module that knows Ray.
"""
