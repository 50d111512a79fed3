"""Training of aumd's own checkpoints: features, data, model, losses, export."""
