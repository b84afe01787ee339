"""An outside plugin: one tool of each effect, a resource and a prompt."""
