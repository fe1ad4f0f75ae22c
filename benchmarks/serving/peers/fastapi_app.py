"""The plain service of the tutorials: FastAPI, Pillow, torchvision's transforms, eager torch.

`python fastapi_app.py PORT WEIGHTS`; the weights are safetensors of torchvision's resnet50.
"""

import io
import sys

import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from safetensors.torch import load_file
from torchserve_model import Resnet50
from torchvision import transforms

TOP_K = 5
view = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
)


def build_app(weights: str) -> FastAPI:
    """The service, with its model loaded."""
    app = FastAPI()
    model = Resnet50().eval()
    model.load_state_dict(load_file(weights))

    @app.get("/ping")
    def ping() -> dict[str, str]:
        """Say that the model is loaded."""
        return {"status": "healthy"}

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, list[float] | list[int]]:
        """Look at the picture in the body."""
        image = Image.open(io.BytesIO(await request.body())).convert("RGB")
        with torch.no_grad():
            found = model(view(image)[None])[0].softmax(0).topk(TOP_K)
        return {"classes": found.indices.tolist(), "probabilities": found.values.tolist()}

    return app


if __name__ == "__main__":
    uvicorn.run(build_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]))
