"""Lists of entities and single ones: users, queues, divisions, conversations."""
