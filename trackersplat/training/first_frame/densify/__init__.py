"""How the number and the places of the Gaussians change while they are fitted."""
