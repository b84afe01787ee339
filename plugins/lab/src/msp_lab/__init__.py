"""Vendor lab: a deterministic fleet served through simulators of RMM vendors."""
