"""What the bytes mean: schemas, layouts, accessors; imports nothing of ours."""
