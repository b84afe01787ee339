"""ConnectWise Automate as an adapter."""
