"""What exists in the cloud: Pulumi components, the catalog of what the clouds offer, and the settings."""
