"""NinjaOne (formerly NinjaRMM) as an adapter."""
