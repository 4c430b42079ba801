"""Examples for those who call Chat-Tonic: docs/clients.md. They need nothing of this project."""
