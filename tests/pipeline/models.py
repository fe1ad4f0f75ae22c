"""A model's files, well-formed; nobody can serve them."""

from pathlib import Path

from contract.model_card import (
    Golden,
    InputSpec,
    Metrics,
    ModelCard,
    Network,
    Provenance,
    file_sha256,
    write_card,
)


def write_model(folder: Path, weights: bytes = b"weights") -> ModelCard:
    """Write model.json, weights and a golden picture."""
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "golden.jpg").write_bytes(b"a picture")
    measured = Metrics(accuracy=0.9, loss=0.3, pictures=10)
    card = ModelCard(
        schema_version=1,
        classes=("cat", "dog"),
        input=InputSpec(resize_px=256, size_px=224, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
        network=Network(backbone="resnet18", hidden_units=0),
        temperature=1.0,
        validation=measured,
        test=None,
        golden=Golden(file="golden.jpg", label="dog", probability=0.8),
        provenance=Provenance(
            hyperparameters={},
            pretrained_weights="random",
            data_sha256="0" * 64,
            code_sha256="0" * 64,
            libraries={},
        ),
        files={name: file_sha256(folder / name) for name in ("weights.safetensors", "golden.jpg")},
    )
    write_card(card, folder)
    return card
