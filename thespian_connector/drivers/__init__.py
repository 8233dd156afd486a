"""The venues' protocols, sans-IO: one folder a venue, all of the same skeleton (`base`)."""
