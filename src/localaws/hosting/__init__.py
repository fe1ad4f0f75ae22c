"""SageMaker hosting: endpoints are processes of the model archive."""
