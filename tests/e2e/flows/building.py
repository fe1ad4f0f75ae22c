"""What the role of image builds is for."""

from typing import Any

from tests.e2e.decided import until
from tests.e2e.flows.flow import Flow, Flows

from pipeline.image import ARCHIVE, image_tag, project_name, repository_name


class BuildFlows(Flows):
    """CodeBuild, with the role of image builds."""

    role = "image"

    def by_statement(self) -> dict[str, Flow]:
        group = f"/aws/codebuild/{project_name(self.stack.name)}"
        return {
            "ReadWhatItBuilds": self.build,
            "WriteOwnLog": self.writing(group, self.build),
            "PushImage": self.build,
            "LogInToRegistry": self.build,
        }

    def build(self) -> bool:
        """Build the image once more, which must be taken away first: its tag stays what it is."""
        name, tag, codebuild = self.stack.name, image_tag(), self.client("codebuild")
        self.client("ecr").batch_delete_image(
            repositoryName=repository_name(name), imageIds=[{"imageTag": tag}]
        )
        started = codebuild.start_build(
            projectName=project_name(name),
            sourceLocationOverride=f"{self.stack.bucket}/image/{tag}/{ARCHIVE}",
            environmentVariablesOverride=[{"name": "IMAGE_TAG", "value": tag}],
        )["build"]["id"]

        def ended() -> Any:
            [build] = codebuild.batch_get_builds(ids=[started])["builds"]
            return build["buildStatus"] != "IN_PROGRESS" and build["buildStatus"]

        return bool(until(ended) == "SUCCEEDED")
