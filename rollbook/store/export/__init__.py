"""Export: tables and views as files by day, with a manifest. Writes nothing into the store, and knows no AWS."""
