"""What an operator sees: logs, the event log, counters. No secret passes through here."""
