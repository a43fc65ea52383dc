"""Ways to workers: adapters of `ports.channel`."""
