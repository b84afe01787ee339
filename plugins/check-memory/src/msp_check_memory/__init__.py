"""Memory and swap against limits with recovery levels."""
