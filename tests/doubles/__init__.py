"""Stand-ins for systems outside the project that speak their real protocol over loopback."""
