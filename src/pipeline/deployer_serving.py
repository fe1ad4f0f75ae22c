"""What the deployer may do with what serves: image, endpoint, function, and what watches them."""

from pipeline.rights import Project, Statement, allow


def image(project: Project) -> list[Statement]:
    """The endpoint's own image: its repository, and what builds it."""
    name = project.name
    return [
        allow(
            "ManageRepository",
            "ecr:CreateRepository DeleteLifecyclePolicy DeleteRepository DescribeImages "
            "DescribeImageScanFindings DescribeRepositories GetLifecyclePolicy "
            "ListTagsForResource PutImageScanningConfiguration PutImageTagMutability "
            "PutLifecyclePolicy TagResource UntagResource",
            project.arn("ecr", f"repository/{name}-serving"),
        ),
        allow(
            "BuildImages",
            "codebuild:BatchGetBuilds BatchGetProjects CreateProject DeleteProject StartBuild "
            "UpdateProject",
            project.arn("codebuild", f"project/{name}-image"),
        ),
        allow(
            "FollowBuilds",
            "logs:GetLogEvents",
            project.arn("logs", f"log-group:/aws/codebuild/{name}-image:*"),
        ),
    ]


def sagemaker(project: Project) -> list[Statement]:
    """The endpoint, its scaling, and the notebook."""

    def of(*resources: str) -> list[str]:
        return [project.arn("sagemaker", resource) for resource in resources]

    name = project.name
    return [
        allow(
            "ManageEndpoint",
            "sagemaker:AddTags CreateEndpoint CreateEndpointConfig CreateModel DeleteEndpoint "
            "DeleteEndpointConfig DeleteModel DeleteTags DescribeEndpoint DescribeEndpointConfig "
            "DescribeModel ListTags UpdateEndpoint",
            of(f"endpoint/{name}", f"endpoint-config/{name}-*", f"model/{name}-*"),
        ),
        allow(
            "ManageNotebook",
            "sagemaker:AddTags CreateNotebookInstance CreateNotebookInstanceLifecycleConfig "
            "DeleteNotebookInstance DeleteNotebookInstanceLifecycleConfig DeleteTags "
            "DescribeNotebookInstance DescribeNotebookInstanceLifecycleConfig ListTags "
            "StartNotebookInstance StopNotebookInstance UpdateNotebookInstance "
            "UpdateNotebookInstanceLifecycleConfig",
            of(f"notebook-instance/{name}", f"notebook-instance-lifecycle-config/{name}"),
        ),
        allow(
            "ManageScaling",
            "application-autoscaling:DeleteScalingPolicy DeleteScheduledAction "
            "DeregisterScalableTarget ListTagsForResource PutScalingPolicy PutScheduledAction "
            "RegisterScalableTarget TagResource UntagResource",
            project.arn("application-autoscaling", "scalable-target/*"),
        ),
    ]


def function(project: Project) -> list[Statement]:
    """The Lambda function, and what hands it the messages of the queue."""
    ours = project.arn("lambda", f"function:{project.name}")
    mappings = project.arn("lambda", "event-source-mapping:*")
    of_function = {"ArnLike": {"lambda:FunctionArn": [ours, f"{ours}:*"]}}
    return [
        allow(
            "ManageFunction",
            "lambda:AddPermission CreateAlias CreateFunction CreateFunctionUrlConfig DeleteAlias "
            "DeleteFunction DeleteFunctionConcurrency DeleteFunctionEventInvokeConfig "
            "GetFunctionConcurrency UpdateFunctionEventInvokeConfig "
            "DeleteFunctionUrlConfig DeleteProvisionedConcurrencyConfig GetAlias GetFunction "
            "GetFunctionCodeSigningConfig GetFunctionConfiguration GetFunctionEventInvokeConfig "
            "GetFunctionUrlConfig GetPolicy GetProvisionedConcurrencyConfig InvokeFunction "
            "ListTags ListVersionsByFunction PublishVersion PutFunctionConcurrency "
            "PutFunctionEventInvokeConfig PutProvisionedConcurrencyConfig "
            "RemovePermission TagResource UntagResource UpdateAlias UpdateFunctionCode "
            "UpdateFunctionConfiguration UpdateFunctionUrlConfig",
            [ours, f"{ours}:*"],
        ),
        # AWS chooses a mapping's name, so its function takes its place.
        allow("MapBatch", "lambda:CreateEventSourceMapping", "*", of_function),
        allow(
            "ManageBatch",
            "lambda:DeleteEventSourceMapping UpdateEventSourceMapping",
            mappings,
            of_function,
        ),
        # One that is gone has no function by which to tell whose it was.
        allow(
            "FollowBatch",
            "lambda:GetEventSourceMapping ListTags TagResource UntagResource",
            mappings,
        ),
    ]


def http_api(project: Project) -> list[Statement]:
    """The HTTP API, where the settings ask for one."""
    apis = f"arn:{project.partition}:apigateway:{project.region}::"
    if not project.http_api:
        return [allow("FindHttpApis", "apigateway:GET", f"{apis}/apis")]
    return [
        # AWS chooses an API's name, and its parts bear no tags.
        allow(
            "ManageHttpApis",
            "apigateway:DELETE GET PATCH POST PUT",
            [f"{apis}/apis", f"{apis}/apis/*", f"{apis}/tags/*"],
        ),
        # What API Gateway asks of who gives a stage its access log; AWS does not scope it.
        allow(
            "KeepAccessLog",
            "logs:CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies "
            "GetLogDelivery ListLogDeliveries PutResourcePolicy UpdateLogDelivery",
            "*",
        ),
    ]


def queues(project: Project) -> list[Statement]:
    """Of pictures to answer, and of what could not be answered."""
    return [
        allow(
            "ManageQueues",
            "sqs:CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl ListQueueTags "
            "SetQueueAttributes TagQueue UntagQueue",
            [
                project.arn("sqs", f"{project.name}-{end}")
                for end in ("batch", "batch-dead-letters", "dead-letters")
            ],
        ),
    ]


def monitoring(project: Project) -> list[Statement]:
    """Alarms, whom they tell, the dashboard and the budget."""
    name = project.name
    return [
        allow(
            "ManageAlarms",
            "cloudwatch:DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm "
            "TagResource UntagResource",
            project.arn("cloudwatch", f"alarm:{name}-*"),
        ),
        allow("FindAlarms", "cloudwatch:DescribeAlarms", project.arn("cloudwatch", "alarm:*")),
        allow(
            "ManageDashboard",
            "cloudwatch:DeleteDashboards GetDashboard PutDashboard",
            f"arn:{project.partition}:cloudwatch::{project.account_id}:dashboard/{name}",
        ),
        allow(
            "ManageTopic",
            "sns:CreateTopic DeleteTopic GetTopicAttributes ListTagsForResource "
            "SetTopicAttributes Subscribe TagResource UntagResource",
            project.arn("sns", f"{name}-alarms"),
        ),
        allow(
            "ManageBudget",
            "budgets:ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget",
            f"arn:{project.partition}:budgets::{project.account_id}:budget/{name}",
        ),
    ]
