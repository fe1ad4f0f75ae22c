"""What can run a network. Each runtime is one module, imported only when it is used."""
