"""Tools, resources and prompts that the official conformance suite asks for by name."""
