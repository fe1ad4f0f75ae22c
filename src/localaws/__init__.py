"""AWS on a laptop: moto keeps the records, this package executes."""
