"""LitServe in its usual way: a LitAPI with setup, decode, predict and encode.

`python litserve_app.py PORT WEIGHTS`; the weights are safetensors of torchvision's resnet50.
"""

import io
import sys
from typing import Any

import litserve
import torch
from fastapi import Request
from PIL import Image
from safetensors.torch import load_file
from torchserve_model import Resnet50
from torchvision import transforms

TOP_K = 5


class Classify(litserve.LitAPI):  # type: ignore[misc]  # LitServe is in an environment of its own
    """Pictures in, classes out."""

    def __init__(self, weights: str) -> None:
        super().__init__()
        self.weights = weights

    def setup(self, device: str) -> None:
        """Load the model, in the worker."""
        self.model = Resnet50().eval().to(device)
        self.model.load_state_dict(load_file(self.weights))
        self.view = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
            ]
        )

    def decode_request(self, request: Request) -> bytes:
        """The picture's bytes: the file `content` of a form, as in LitServe's guide to images."""
        form: Any = request  # with this annotation LitServe passes what the request holds
        picture: bytes = form["content"].file.read()
        return picture

    def predict(self, picture: bytes) -> Any:
        """Look at the picture."""
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        with torch.no_grad():
            return self.model(self.view(image)[None])[0].softmax(0).topk(TOP_K)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Classes and probabilities."""
        return {"classes": output.indices.tolist(), "probabilities": output.values.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Classify(sys.argv[2]), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
