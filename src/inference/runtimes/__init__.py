"""What can run a network. Each runtime is one module, imported only when it is used."""


def in_words(name: str, processor: str) -> str:
    """What replies carry in the header X-Kennel-Runtime, like `openvino-bf16; amx`."""
    return f"{name}; {processor}"
