"""Delivery of the organisation's events by Amazon EventBridge."""
