"""Parameters of a text decoder, kind of layer by kind of layer, as its config states them."""
