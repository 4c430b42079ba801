"""What people and CI do to the platform: one module a job. No provider SDK is imported here."""
