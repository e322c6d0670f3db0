"""
The domain model: frozen values for options, images, turns, sessions and models.

Nothing here waits, opens a file or reads the clock, except that the model catalogue and the presets
are loaded from the data files beside this module.
"""
