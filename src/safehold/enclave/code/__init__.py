"""Code that somebody wrote themselves: what runs it inside a sandbox, and the gate for what it sends."""
