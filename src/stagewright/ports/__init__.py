"""What the engine needs of the world: Protocols of at most ten methods. Adapters implement them, `app` wires them."""
