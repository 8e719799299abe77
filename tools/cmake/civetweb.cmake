# Placeholder: filled in below.
