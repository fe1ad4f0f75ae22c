"""Target tracking on real request counts."""
