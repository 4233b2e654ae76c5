"""Analytics: the details query, jobs, aggregates and their filters."""
