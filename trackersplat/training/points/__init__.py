"""Dense first points of a capture from its images and poses alone."""
