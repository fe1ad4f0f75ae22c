"""SageMaker training jobs, executed as the training toolkit does."""
