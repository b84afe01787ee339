"""The kernel's own tools, a plugin like any other."""
