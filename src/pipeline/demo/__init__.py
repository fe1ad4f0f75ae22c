"""`make demo`: photos become a deployed service on this laptop, told as a short story."""
