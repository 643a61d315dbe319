"""How a fit trains: the step in closed form, batches, losses, optimizers, and the skorch nets around them."""
