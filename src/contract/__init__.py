"""What two rooms must agree on; imports no other room."""
