"""What the roles of the function and of the endpoint are for."""

import json
import time
import uuid
from typing import Any

from tests.e2e.decided import until
from tests.e2e.fleet import resize, settled, without_autoscaling
from tests.e2e.flows.flow import Flow, Flows, allowed
from tests.e2e.stage import base64_of


class FunctionFlows(Flows):
    """Lambda, with the function's role."""

    role = "function"

    def by_statement(self) -> dict[str, Flow]:
        return {
            "AskTheEndpoint": self.predict,
            "WriteOwnLog": self.writing(f"/aws/lambda/{self.stack.name}", self.predict),
            "KeepFailedCalls": self.bury,
            "TakePicturesFromQueue": self.batch,
            "WriteResults": self.batch,
            "WriteTraces": self.trace,
        }

    def by_policy(self) -> dict[str, Flow]:
        return {"network": self.in_network}

    def predict(self) -> bool:
        picture = base64_of(self.stage.picture())
        answer = self.stage.invoke(self.client("lambda"), {"image_base64": picture})
        return bool(answer["statusCode"] == 200)

    def bury(self) -> bool:
        """A call that fails for good goes to the queue."""
        client, sqs, name = self.client("lambda"), self.client("sqs"), self.stack.name
        queue = sqs.get_queue_url(QueueName=f"{name}-dead-letters")["QueueUrl"]
        # No retries, or the call would only be given up after some seconds.
        client.put_function_event_invoke_config(
            FunctionName=name, Qualifier="$LATEST", MaximumRetryAttempts=0
        )
        client.update_function_configuration(FunctionName=name, Handler="handler.nobody")

        def buried() -> int:
            wanted = "ApproximateNumberOfMessages"
            found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[wanted])
            return int(found["Attributes"][wanted])

        before, refused = buried(), len(self.decisions.refused())
        client.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
        until(lambda: buried() > before or len(self.decisions.refused()) > refused)
        client.update_function_configuration(FunctionName=name, Handler="handler.handle")
        return buried() > before

    def batch(self) -> bool:
        """A picture that is put into the bucket is answered there."""
        s3, name, bucket = self.client("s3"), f"{uuid.uuid4()}.jpg", self.stack.bucket
        refused = len(self.decisions.refused())
        s3.upload_file(str(self.stage.picture()), bucket, f"pictures/incoming/{name}")

        def written() -> list[Any]:
            found = s3.list_objects_v2(Bucket=bucket, Prefix=f"results/{name}")
            return list(found.get("Contents", []))

        def taken() -> bool:
            """Whether nothing of it is left in the queue."""
            sqs, about = self.client("sqs"), ("", "NotVisible")
            left = [f"ApproximateNumberOfMessages{state}" for state in about]
            url = sqs.get_queue_url(QueueName=f"{self.stack.name}-batch")["QueueUrl"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=left)["Attributes"]
            return all(found[name] == "0" for name in left)

        def stopped() -> bool:
            # A message that was on its way when a right was lost is answered, and not deleted.
            return len(self.decisions.refused()) > refused

        until(lambda: stopped() or (written() and taken()))
        if stopped():
            return False
        text = s3.get_object(Bucket=bucket, Key=f"results/{name}.json")["Body"].read()
        return bool(json.loads(text)["statusCode"] == 200)

    def trace(self) -> bool:
        xray, now = self.client("xray"), time.time()
        span: dict[str, Any] = {"StartTime": now - 3600, "EndTime": now + 3600}
        before = len(xray.get_trace_summaries(**span)["TraceSummaries"])
        self.predict()
        return len(xray.get_trace_summaries(**span)["TraceSummaries"]) > before

    def in_network(self) -> bool:
        client, name = self.client("lambda"), self.stack.name
        config = client.get_function_configuration(FunctionName=name)
        place = {key: config["VpcConfig"][key] for key in ("SubnetIds", "SecurityGroupIds")}
        given = {"Role": config["Role"], "VpcConfig": place}
        return allowed(lambda: client.update_function_configuration(FunctionName=name, **given))


class EndpointFlows(Flows):
    """SageMaker hosting, with the model's role."""

    role = "endpoint"

    def by_statement(self) -> dict[str, Flow]:
        return {
            "ReadModels": self.grow,
            "PullImage": self.grow,
            "LogInToRegistry": self.grow,
            "ReadPictures": lambda: self.named("dog.jpg") == 200,
            "KnowMissingPictures": lambda: self.named("cat.jpg") == 404,
            "WriteOwnLog": self.writing(f"/aws/sagemaker/Endpoints/{self.stack.name}", self.grow),
            "WriteMetrics": self.measuring("/aws/sagemaker/Endpoints", self.grow),
            "SeeRollbackAlarms": self.update,
        }

    def by_policy(self) -> dict[str, Flow]:
        return {"network": self.in_network, "bucket_key": self.grow}

    def named(self, picture: str) -> int:
        """The status of a request that names a picture in the bucket."""
        bucket = self.stack.bucket
        self.client("s3").upload_file(str(self.stage.picture()), bucket, "pictures/dog.jpg")
        event = {"s3_uri": f"s3://{bucket}/pictures/{picture}"}
        return int(self.stage.invoke(self.client("lambda"), event)["statusCode"])

    def grow(self) -> bool:
        """A second instance starts."""
        with without_autoscaling(self.stage):
            grown = resize(self.stage, 2)
            resize(self.stage, 1)
        return grown == 2

    def update(self) -> bool:
        """It is told to serve with what it serves with, watched by its alarms."""
        sagemaker, name = self.client("sagemaker"), self.stack.name
        alarms = [{"AlarmName": f"{name}-rollback-{end}"} for end in ("5xx", "latency")]
        config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
        at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        done = allowed(
            lambda: sagemaker.update_endpoint(
                EndpointName=name,
                EndpointConfigName=config,
                DeploymentConfig={
                    "AutoRollbackConfiguration": {"Alarms": alarms},
                    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": at_once},
                },
            )
        )
        settled(self.stage)
        return done

    def in_network(self) -> bool:
        sagemaker = self.client("sagemaker")
        model = sagemaker.describe_model(
            ModelName=sagemaker.list_models()["Models"][0]["ModelName"]
        )
        about = {key: model[key] for key in ("PrimaryContainer", "ExecutionRoleArn", "VpcConfig")}
        done = allowed(lambda: sagemaker.create_model(ModelName="proof", **about))
        if done:
            sagemaker.delete_model(ModelName="proof")
        return done
