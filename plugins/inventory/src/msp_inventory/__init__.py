"""Sites, devices and their ids in every console; sync from any adapter."""
