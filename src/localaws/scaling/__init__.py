"""Target tracking on real requests, and scheduled limits."""
