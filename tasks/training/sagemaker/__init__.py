"""SageMaker training jobs: request, submission, watching, and the side inside the container."""
