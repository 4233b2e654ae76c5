"""Events by way of AWS: the queue, files in S3, and the function's invocations."""
