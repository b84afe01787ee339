"""A plugin whose tools do what none should."""
