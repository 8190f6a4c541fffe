"""What people ask for in the portal that only a process with the warehouse in its hands can do."""
