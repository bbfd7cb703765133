"""The `Snh_*` requests, one module a concern: each lists what it answers in `SERVED`."""
