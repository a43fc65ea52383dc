"""Object stores: adapters of `ports.objects`."""
