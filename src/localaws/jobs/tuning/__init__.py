"""SageMaker hyperparameter tuning jobs: a search that starts training jobs."""
