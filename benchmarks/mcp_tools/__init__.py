"""A plugin with a tool that does nothing, and others like the product's."""
