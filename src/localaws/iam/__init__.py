"""Who may do what: the identity behind a key, and AWS's rules of evaluation."""
