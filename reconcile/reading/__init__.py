"""Reading a window so that its proof holds: by the query, or by a job."""
