"""Who may ask: the guard that keeps an unconfigured service to its own machine."""
