"""Starts Ray Serve as AWS's image does, told a port and a config."""

import sys

import ray
from ray import serve
from ray.serve.scripts import cli

port, config = sys.argv[1:]
ray.init(num_cpus=4, include_dashboard=False, namespace="serve", log_to_driver=True)
serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
cli(["run", config])
