"""SageMaker on this machine: jobs run under its own contract, without AWS."""
