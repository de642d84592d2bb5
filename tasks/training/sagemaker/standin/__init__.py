"""SageMaker training on this machine, for tests and for trying a recipe without cost.

Set TEMPER_SAGEMAKER_STANDIN to a folder. Requests are checked as the service checks them, and the
very files that were uploaded run as in its containers: below ``/opt/ml``, with the contract's
configuration, variables and nothing else of the caller's environment. Python and its packages are
those of this environment, which takes the image's place. S3 and CloudWatch Logs are whatever
AWS_ENDPOINT_URL names, for example a moto server on loopback.
"""
