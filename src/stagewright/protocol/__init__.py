"""What travels over the wire: bodies of HTTP calls, assignments, packets."""
