output "queue_url" {
  description = "Where the events wait"
  value       = aws_sqs_queue.events.id
}

output "dead_letter_queue_arn" {
  description = "What could not be stored for a day"
  value       = aws_sqs_queue.dead.arn
}

output "function_name" {
  description = "Call it with {\"window\":\"START/END\"} to reconcile one interval"
  value       = aws_lambda_function.this.function_name
}

output "file_system_id" {
  description = "Where the store lies"
  value       = aws_efs_file_system.this.id
}
