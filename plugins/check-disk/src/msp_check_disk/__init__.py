"""Free space, inodes and read-only remounts of every volume."""
