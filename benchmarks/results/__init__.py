"""Results on disk: a database, and files of JSON lines."""
