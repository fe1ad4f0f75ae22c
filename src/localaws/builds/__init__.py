"""CodeBuild: builds of images that run as far as a machine without Docker can."""
