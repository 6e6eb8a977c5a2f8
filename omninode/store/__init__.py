"""What survives: SQLite for sessions, inputs, safety records; files for what is large; the lock of the directory."""
