"""Facts and commands over SSH for Linux and macOS."""
