"""Looks for what is wrong, missing or running in a stage; changes nothing."""
