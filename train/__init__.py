"""Training: from folders of pairs to published weights."""
